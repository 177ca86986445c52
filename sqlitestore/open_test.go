package sqlitestore

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	sqlite "modernc.org/sqlite"

	"github.com/refrain-dev/refrain"
)

func TestSecretIsTheFiles(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	var all [][]byte
	for range 2 { // both open
		s := openStore(t, file, Config{})
		defer s.Close()
		secret, err := s.Secret(t.Context())
		if err != nil || len(secret) != 32 {
			t.Fatalf("got a secret of %d bytes, error %v", len(secret), err)
		}
		all = append(all, secret)
		clear(secret[:0]) // the caller's copy
	}
	other := openStore(t, newFile(t), Config{})
	defer other.Close()
	if !bytes.Equal(all[0], all[1]) || bytes.Equal(all[0], other.secret) {
		t.Error("two stores on one file must have one secret, and another file another")
	}
}

func TestFileIsItsOwners(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	s := openStore(t, file, Config{})
	defer s.Close()
	claimed(t, s, time.Hour)
	for _, name := range []string{file, file + "-wal", file + "-shm"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, error %v, want mode 0600", name, info.Mode(), err)
		}
	}
}

// TestAwkwardNames opens files whose names mean something in a URI.
func TestAwkwardNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink(newFile(t), filepath.Join(dir, "link.db")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a b.db", "100%.db", "q?mode=memory", "h#.db", "ünï.db", "link.db"} {
		s := openStore(t, filepath.Join(dir, name), Config{})
		claimed(t, s, time.Hour)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestNewerTablesAreRefused(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	if err := openStore(t, file, Config{}).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openDB(t, file).Exec("UPDATE refrain_store SET version = version + 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), file, Config{}); !errors.Is(err, ErrSchema) {
		t.Errorf("got error %v, want %v", err, ErrSchema)
	}
}

// TestApplicationsVersionIsItsOwn shares a file with an application that counts its own versions in it.
func TestApplicationsVersionIsItsOwn(t *testing.T) {
	t.Parallel()
	db := openDB(t, newFile(t))
	if _, err := db.Exec("PRAGMA user_version = 4711"); err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var version int
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil || version != 4711 {
		t.Errorf("got the application's version %d, error %v, want 4711", version, err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	if _, err := New(t.Context(), openDB(t, ":memory:"), Config{}); err == nil || !strings.Contains(err.Error(), "in memory") {
		t.Errorf("a database in memory: got error %v", err)
	}
	other := sql.OpenDB(foreign{newFile(t)})
	defer other.Close()
	if _, err := New(t.Context(), other, Config{}); err == nil || !strings.Contains(err.Error(), "another SQLite") {
		t.Errorf("another SQLite: got error %v", err)
	}
}

// foreign stands for another SQLite in the same process: it says that it was built in another way.
type foreign struct{ file string }

func (f foreign) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := sqlite.NewConnector(f.file)
	if err != nil {
		return nil, err
	}
	conn, err := c.Connect(ctx)
	return foreignConn{conn}, err
}

func (foreign) Driver() driver.Driver { return nil }

type foreignConn struct{ driver.Conn }

func (c foreignConn) Prepare(query string) (driver.Stmt, error) {
	return c.Conn.Prepare(strings.ReplaceAll(query, "sqlite_source_id()", "'another'"))
}

// TestReplacedFileStopsTheStore takes the file away under a store: what it would write nobody would find again.
func TestReplacedFileStopsTheStore(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(file string) error{
		"removed":       os.Remove,
		"moved":         func(file string) error { return os.Rename(file, file+".old") },
		"log removed":   func(file string) error { return os.Remove(file + "-wal") },
		"index removed": func(file string) error { return os.Remove(file + "-shm") },
		"replaced": func(file string) error {
			return errors.Join(os.WriteFile(file+".new", nil, 0o600), os.Rename(file+".new", file))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := newFile(t)
			s := openStore(t, file, Config{})
			defer s.Close()
			id, token := claimed(t, s, time.Hour)
			if err := replace(file); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Settle(t.Context(), finished(id, token)); !errors.Is(err, ErrReplaced) || !errors.Is(err, refrain.ErrUnavailable) {
				t.Errorf("Settle: got error %v, want %v", err, ErrReplaced)
			}
			if _, err := s.Get(t.Context(), id); !errors.Is(err, ErrReplaced) || !errors.Is(s.Err(), ErrReplaced) {
				t.Errorf("Get: got error %v, and Err %v, want %v", err, s.Err(), ErrReplaced)
			}
		})
	}
}

// TestTheLogStaysWithTheStore takes all connections away that calls use, as calls do that end early or fail: SQLite removes its log
// with the last one, which must not look as if somebody else had.
func TestTheLogStaysWithTheStore(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	s := openStore(t, file, Config{})
	defer s.Close()
	alter := func(statement string) {
		t.Helper()
		db, err := sql.Open("sqlite", file)
		if err == nil {
			_, err = db.Exec(statement)
		}
		if err = errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	alter("CREATE TRIGGER refuse BEFORE INSERT ON refrain_operations BEGIN SELECT RAISE(FAIL, 'refused'); END")
	s.read.SetMaxIdleConns(-1)
	c := refrain.Claim{ID: refrain.ID{1}, Token: refrain.NewToken(), Lease: time.Hour}
	if d, err := s.Claim(t.Context(), c); !errors.Is(err, refrain.ErrUnavailable) {
		t.Fatalf("got verdict %v and error %v, want that it is refused", d.Verdict, err)
	}
	if _, err := os.Stat(file + "-wal"); err != nil {
		t.Errorf("the log went with the last call: %v", err)
	}
	alter("DROP TRIGGER refuse")
	wantVerdict(t, s, c, refrain.Run)
}

func TestUnreadableIsUnknown(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	s := openStore(t, file, Config{})
	defer s.Close()
	id, token := claimed(t, s, time.Hour)
	for _, damage := range []string{"head = zeroblob(20)", "head = zeroblob(200)", "record = zeroblob(200)", "record = x''"} {
		if _, err := openDB(t, file).Exec("UPDATE refrain_operations SET " + damage); err != nil {
			t.Fatal(err)
		}
		wantVerdict(t, s, refrain.Claim{ID: id, Token: token, Rerun: true}, refrain.Unknown)
		if _, err := s.Settle(t.Context(), finished(id, token)); !errors.Is(err, refrain.ErrStale) {
			t.Errorf("%s: got error %v, want %v", damage, err, refrain.ErrStale)
		}
	}
	all, err := s.List(t.Context(), refrain.ListQuery{State: refrain.StateUnknown})
	if err != nil || len(all) != 1 || all[0].ID != id {
		t.Errorf("List: got %v, error %v", all, err)
	}
}

func TestAuditTellsTheSettings(t *testing.T) {
	t.Parallel()
	a := newApplication(t, dsn)
	grades := func() string {
		t.Helper()
		all, err := a.store.Audit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var bad []string
		for _, r := range all {
			if r.Grade == refrain.GradeFault {
				bad = append(bad, r.Subject)
			}
		}
		slices.Sort(bad)
		return strings.Join(bad, " ")
	}
	if got := grades(); got != "" {
		t.Errorf("got faults in %s, want none", got)
	}
	a.store.application = openDB(t, a.file+"?_pragma=synchronous(OFF)")
	if got := grades(); got != "application" {
		t.Errorf("an application whose commits are not synced: got faults in %q", got)
	}
	if err := os.Remove(a.file); err != nil {
		t.Fatal(err)
	}
	if got := grades(); got != "application file" {
		t.Errorf("without its file: got faults in %q", got)
	}
}

// TestClockNeverGoesBack sets the machine's clock back between two processes.
func TestClockNeverGoesBack(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	machine := time.Now()
	first := openStore(t, file, Config{machine: func() time.Time { return machine }})
	id, token := claimed(t, first, 10*time.Minute)
	if _, err := first.Settle(t.Context(), finished(id, token)); err != nil {
		t.Fatal(err)
	}
	before := wantVerdict(t, first, refrain.Claim{ID: id}, refrain.Replay)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	earlier := machine.Add(-24 * time.Hour)
	second := openStore(t, file, Config{machine: func() time.Time { return earlier }})
	defer second.Close()
	d := wantVerdict(t, second, refrain.Claim{ID: id}, refrain.Replay)
	if d.Now.Before(before.Now) {
		t.Errorf("the store's time went from %v back to %v", before.Now, d.Now)
	}
	next := wantVerdict(t, second, refrain.Claim{ID: refrain.ID{2}, Token: token, Lease: time.Minute}, refrain.Run)
	if next.Record.Created.Before(before.Record.Created) {
		t.Errorf("a claim was made at %v, after one of %v", next.Record.Created, before.Record.Created)
	}
	earlier = earlier.Add(time.Minute) // time goes on all the same
	if r, err := second.Get(t.Context(), refrain.ID{2}); err != nil || r.State != refrain.StateUnknown {
		t.Errorf("after the lease: got it %v, error %v", r.State, err)
	}
}
