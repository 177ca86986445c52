package mysqlstore

import (
	"testing"

	"github.com/refrain-dev/refrain"
)

// TestPartitionsOfTablesInUse has several processes need partitions while a transaction is at the tables for long. All that they do
// succeeds, and only one of them has had everybody wait for the transaction: for a while it is not tried again.
func TestPartitionsOfTablesInUse(t *testing.T) {
	t.Parallel()
	url := database(t, startServer(t))
	db := openPlain(t, url)
	user := begin(t, db, nil)
	exec(t, user, "SELECT 1 FROM refrain_done, refrain_outcomes")
	before := status(t, db, "Com_alter_table")
	for range 4 {
		s := openStore(t, url, Config{})
		defer s.Close()
		c := newClaim()
		claims(t, s, c, refrain.Run)
		settles(t, s, finish(&c, "paid"), nil)
		claims(t, s, again(c), refrain.Replay)
	}
	if n := status(t, db, "Com_alter_table") - before; n != 1 {
		t.Errorf("it was tried %d times, want once", n)
	}
	if err := user.Rollback(); err != nil {
		t.Fatal(err)
	}
	exec(t, db, "UPDATE refrain_meta SET value = 0 WHERE name = 'rest'") // as if it was over
	s := openStore(t, url, Config{})
	defer s.Close()
	c := newClaim()
	claims(t, s, c, refrain.Run)
	settles(t, s, finish(&c, "paid"), nil)
	if n := count(t, db, "SELECT COUNT(*) FROM refrain_done WHERE bucket <> 0 AND kept <> 0"); n != 1 {
		t.Errorf("%d operations are in partitions of their time, want 1", n)
	}
}
