package mysqlstore

import (
	"bytes"
	"database/sql"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// TestTransactionsThatTheServerTakesBack has a group of finishes lose a deadlock, and wait for a lock for longer than the server
// allows. It is tried again, and all are done.
func TestTransactionsThatTheServerTakesBack(t *testing.T) {
	t.Parallel()
	url := database(t, startServer(t))
	s := openStore(t, url, Config{})
	defer s.Close()
	db := openPlain(t, url)
	exec(t, db, "CREATE TABLE ballast (n INT PRIMARY KEY)")
	for _, deadlock := range []bool{true, false} {
		a, b := newClaim(), newClaim()
		if bytes.Compare(a.ID[:], b.ID[:]) > 0 {
			a, b = b, a
		}
		requests := []*request{finishing(t, s, a), finishing(t, s, b)}
		tx := begin(t, db, nil)
		for n := range 100 { // so that the server takes the other one back
			exec(t, tx, "INSERT INTO ballast VALUES (?)", n)
		}
		exec(t, tx, "UPDATE refrain_live SET created = created + 1 WHERE id = ?", b.ID[:])
		taken, waits := status(t, db, "Innodb_deadlocks"), status(t, db, "Innodb_row_lock_waits")
		worked := make(chan struct{})
		go func() {
			defer close(worked)
			s.work(requests)
		}()
		for status(t, db, "Innodb_row_lock_waits") == waits { // the group has a, and waits for b
			<-time.After(time.Millisecond)
		}
		if deadlock {
			exec(t, tx, "UPDATE refrain_live SET created = created + 1 WHERE id = ?", a.ID[:])
			if n := status(t, db, "Innodb_deadlocks"); n != taken+1 {
				t.Fatalf("got %d deadlocks, want %d", n, taken+1)
			}
		} else {
			for status(t, db, "Innodb_row_lock_waits") == waits+1 { // it waits once more
				<-time.After(time.Millisecond)
			}
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		<-worked
		for i, c := range []refrain.Claim{a, b} {
			if !requests[i].done {
				t.Errorf("deadlock %v: finish %d is not done", deadlock, i)
			}
			claims(t, s, again(c), refrain.Replay)
		}
	}
}

// finishing claims, and returns the finish as its group gets it.
func finishing(t *testing.T, s *Store, c refrain.Claim) *request {
	t.Helper()
	d := claims(t, s, c, refrain.Run)
	e := finish(&c, "paid")
	return &request{settle: &e, record: d.Record, plan: s.planFor(t.Context(), &e)}
}

// TestAnOutcomeIsShownWhenItIsFlushed reads what was settled a moment ago, from a server without a binary log, which shows commits
// before they are on the disk: the reader commits too, after it.
func TestAnOutcomeIsShownWhenItIsFlushed(t *testing.T) {
	t.Parallel()
	for _, logged := range []bool{false, true} {
		var settings []string
		if logged {
			settings = []string{"--log-bin", "--sync-binlog=1"}
		}
		url := database(t, startServer(t, settings...))
		s := openStore(t, url, Config{})
		defer s.Close()
		db := openPlain(t, url)
		c := newClaim()
		claims(t, s, c, refrain.Run)
		settles(t, s, finish(&c, "paid"), nil)
		before := fences(t, db)
		if r, err := s.Get(within(t), c.ID); err != nil || r.State != refrain.StateDone {
			t.Fatalf("got %v, error %v", r.State, err)
		}
		if flushed := fences(t, db) > before; flushed == logged {
			t.Errorf("with a binary log %v: the reader waited for the disk %v", logged, flushed)
		}
		exec(t, db, "UPDATE refrain_done SET settled = settled - ?", int64(2*recent/time.Microsecond))
		before = fences(t, db)
		if _, err := s.Get(within(t), c.ID); err != nil || fences(t, db) > before {
			t.Errorf("what was settled long ago was flushed again, error %v", err)
		}
	}
}

// fences returns how many were drawn: each in a commit.
func fences(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	err := db.QueryRow(`SELECT auto_increment FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name = 'refrain_fences'`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
