package mysqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// awaits waits for the only value that the query returns.
func awaits[T comparable](t *testing.T, db *sql.DB, query string) (v T) {
	t.Helper()
	for {
		err := db.QueryRowContext(within(t), query).Scan(&v)
		switch {
		case err == nil:
			return v
		case err != sql.ErrNoRows:
			t.Fatalf("%s: %v", query, err)
		}
		<-time.After(time.Millisecond)
	}
}

// hold keeps others from writing to a table until it is let go.
func hold(t *testing.T, db *sql.DB, table string) (letGo func()) {
	t.Helper()
	conn, err := db.Conn(within(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	run := func(query string) {
		t.Helper()
		if _, err := conn.ExecContext(within(t), query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	run("LOCK TABLES " + table + " READ")
	return func() { run("UNLOCK TABLES") }
}

// TestAKilledTransactionIsTakenBack kills the statement of a group that has taken claims out of their table and not recorded their
// outcomes yet. Nobody sees the half of it, or commits it.
func TestAKilledTransactionIsTakenBack(t *testing.T) {
	t.Parallel()
	url := database(t, startServer(t))
	s := openStore(t, url, Config{})
	defer s.Close()
	db := openPlain(t, url)
	warm := newClaim() // so that the partitions are there
	claims(t, s, warm, refrain.Run)
	settles(t, s, finish(&warm, ""), nil)
	for range 3 {
		c := newClaim()
		claims(t, s, c, refrain.Run)
		letGo := hold(t, db, "refrain_done")
		settled := make(chan error, 1)
		go func() {
			_, err := s.Settle(within(t), finish(&c, "paid"))
			settled <- err
		}()
		id := awaits[int](t, db, "SELECT id FROM information_schema.processlist WHERE info LIKE 'INSERT INTO refrain_done%'")
		exec(t, db, fmt.Sprint("KILL QUERY ", id))
		if r, err := s.Get(within(t), c.ID); err != nil || r.State != refrain.StateRunning {
			t.Errorf("after the group was killed: got %v, error %v, want that it runs", r.State, err)
		}
		letGo()
		if err := <-settled; err != nil {
			t.Errorf("Settle: got error %v", err)
		}
		claims(t, s, newClaim(), refrain.Run)
		claims(t, s, again(c), refrain.Replay)
	}
	awaits[int](t, db, "SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM information_schema.innodb_trx)")
}

// TestAKilledClaimIsTakenBack kills the statement of a claim that takes an operation over, behind what has begun its transaction. What
// is done on its connection afterwards is seen by all.
func TestAKilledClaimIsTakenBack(t *testing.T) {
	t.Parallel()
	url := database(t, startServer(t))
	s := openStore(t, url, Config{})
	defer s.Close()
	db := openPlain(t, url)
	c, other := newClaim(), newClaim()
	claims(t, s, c, refrain.Run)
	claims(t, s, other, refrain.Run)
	settles(t, s, refrain.Settlement{ID: c.ID, Token: c.Token, Ending: refrain.Undecided}, nil)
	holder := begin(t, db, nil)
	exec(t, holder, "UPDATE refrain_live SET created = created + 1 WHERE id = ?", c.ID[:])
	rerun := again(c)
	rerun.Rerun = true
	claimed := make(chan error, 1)
	go func() {
		_, err := s.Claim(within(t), rerun)
		claimed <- err
	}()
	id := awaits[int](t, db, "SELECT id FROM information_schema.processlist WHERE info LIKE 'UPDATE refrain_live SET state = 1%'")
	exec(t, db, fmt.Sprint("KILL QUERY ", id))
	if err := <-claimed; !errors.Is(err, refrain.ErrUnavailable) {
		t.Errorf("Claim: got error %v, want %v", err, refrain.ErrUnavailable)
	}
	if err := holder.Rollback(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Renew(within(t), refrain.Renewal{ID: other.ID, Token: other.Token, Lease: 2 * time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, db, "SELECT COUNT(*) FROM refrain_live WHERE lease - created > 5400000000"); n != 1 {
		t.Errorf("%d leases were renewed for others to see, want 1", n)
	}
	claims(t, s, rerun, refrain.Run)
}
