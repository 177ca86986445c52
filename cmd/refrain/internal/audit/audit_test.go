package audit

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
)

func inspect(dir string) []Finding { return Store(config.Store{Scheme: "pebble", Dir: dir}) }

// find returns the finding on a subject.
func find(t *testing.T, all []Finding, subject string) Finding {
	t.Helper()
	i := slices.IndexFunc(all, func(f Finding) bool { return f.Subject == subject })
	if i < 0 {
		t.Fatalf("got %v, want a finding on %s", all, subject)
	}
	return all[i]
}

func expect(t *testing.T, f Finding, level Level, text string) {
	t.Helper()
	if f.Level != level || !strings.Contains(f.Text, text) {
		t.Errorf("got %s: %s: %s, want %s with %q", f.Level, f.Subject, f.Text, level, text)
	}
}

func TestMemoryIsWarnedOf(t *testing.T) {
	t.Parallel()
	expect(t, find(t, Store(config.Store{Scheme: "memory"}), "durability"), Warn, "tier volatile")
}

func TestMissingDirectoryIsLookedAtAboveAndNotMade(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "a", "b")
	all := inspect(dir)
	expect(t, find(t, all, "directory"), OK, "is made when the store is first opened, in "+parent)
	find(t, all, "sync")
	if left, _ := os.ReadDir(parent); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDirectoryThatIsNoneIsAFault(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, find(t, inspect(file), "directory"), Fault, "is not a directory")
	expect(t, find(t, inspect(filepath.Join(file, "dir")), "directory"), Fault, "not a directory")
}

func TestOpenPermissionsAreWarnedOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), make([]byte, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	all := inspect(dir)
	expect(t, find(t, all, "directory"), Warn, "chmod 700")
	expect(t, find(t, all, "secret"), Warn, "chmod 600")
}

func TestLostSecretIsAFault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	expect(t, find(t, inspect(dir), "secret"), Fault, "would run again")
}

func TestSyncsAreTimed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if f := find(t, inspect(dir), "sync"); f.Level == Fault || !strings.Contains(f.Text, "median") {
		t.Errorf("got %v, want the times of syncs", f)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
