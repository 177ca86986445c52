package audit

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
)

func inspect(dir string) []refrain.Remark { return Store(config.Store{Scheme: "pebble", Dir: dir}) }

// find returns the finding on a subject.
func find(t *testing.T, all []refrain.Remark, subject string) refrain.Remark {
	t.Helper()
	i := slices.IndexFunc(all, func(f refrain.Remark) bool { return f.Subject == subject })
	if i < 0 {
		t.Fatalf("got %v, want a finding on %s", all, subject)
	}
	return all[i]
}

func expect(t *testing.T, f refrain.Remark, grade refrain.Grade, text string) {
	t.Helper()
	if f.Grade != grade || !strings.Contains(f.Text, text) {
		t.Errorf("got %s: %s: %s, want %s with %q", f.Grade, f.Subject, f.Text, grade, text)
	}
}

func TestMemoryIsWarnedOf(t *testing.T) {
	t.Parallel()
	expect(t, find(t, Store(config.Store{Scheme: "memory"}), "durability"), refrain.GradeWarn, "tier volatile")
}

func TestMissingDirectoryIsLookedAtAboveAndNotMade(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "a", "b")
	all := inspect(dir)
	expect(t, find(t, all, "directory"), refrain.GradeOK, "is made when the store is first opened, in "+parent)
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
	expect(t, find(t, inspect(file), "directory"), refrain.GradeFault, "is not a directory")
	expect(t, find(t, inspect(filepath.Join(file, "dir")), "directory"), refrain.GradeFault, "not a directory")
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
	expect(t, find(t, all, "directory"), refrain.GradeWarn, "chmod 700")
	expect(t, find(t, all, "secret"), refrain.GradeWarn, "chmod 600")
}

func TestLostSecretIsAFault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	expect(t, find(t, inspect(dir), "secret"), refrain.GradeFault, "would run again")
}

func TestSyncsAreTimed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if f := find(t, inspect(dir), "sync"); f.Grade == refrain.GradeFault || !strings.Contains(f.Text, "median") {
		t.Errorf("got %v, want the times of syncs", f)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
