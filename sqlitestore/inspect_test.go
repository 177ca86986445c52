package sqlitestore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain"
)

// inspects wants the remarks on a file to say something, and nothing to be made of it.
func inspects(t *testing.T, file, want string) {
	t.Helper()
	before, _ := os.ReadFile(file)
	remarks, err := Inspect(t.Context(), file)
	var all []string
	for _, r := range remarks {
		if r.Grade == refrain.GradeFault {
			t.Errorf("got fault %s: %s", r.Subject, r.Text)
		}
		all = append(all, r.Subject+": "+r.Text)
	}
	if text := strings.Join(all, "\n"); err != nil || !strings.Contains(text, want) {
		t.Errorf("got error %v and\n%s\nwant %q", err, text, want)
	}
	after, _ := os.ReadFile(file)
	left, _ := filepath.Glob(file + "*")
	if !bytes.Equal(before, after) || before == nil && len(left) > 0 {
		t.Errorf("%q: the file had %d bytes, and has %d; there are %v", want, len(before), len(after), left)
	}
}

// TestInspectChangesNothing looks at a file that is not there, at one of somebody else, and at a store's.
func TestInspectChangesNothing(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	inspects(t, file, "is made when the store is first opened")
	if _, err := openDB(t, file).Exec("CREATE TABLE payments (operation BLOB)"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	inspects(t, file, "tables: are made when the store is first opened")
	s := openStore(t, file, Config{})
	defer s.Close()
	inspects(t, file, "journal mode: wal")
	if _, err := openDB(t, file).Exec("UPDATE refrain_store SET version = version + 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), file); !errors.Is(err, ErrSchema) {
		t.Errorf("newer tables: got error %v, want %v", err, ErrSchema)
	}
	if _, err := Inspect(t.Context(), filepath.Join(file+".none", "refrain.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such folder: got error %v, want %v", err, os.ErrNotExist)
	}
}
