package mysqlstore

import (
	"math"
	"sync"
	"testing"
	"time"

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

// TestRestAfterClockStep has the server's clock set back after a change that was in vain.
func TestRestAfterClockStep(t *testing.T) {
	t.Parallel()
	url := database(t, server(t))
	exec(t, openPlain(t, url), "INSERT INTO refrain_meta VALUES ('rest', "+nowSQL+" + ?)", us(24*time.Hour))
	s := openStore(t, url, Config{})
	defer s.Close()
	if _, ok := s.parts.covering(within(t), tableDone, time.Hour); !ok {
		t.Error("a partition was not made, want one as soon as the rest is over")
	}
}

// TestPartitionsThatOthersMake has operations end in partitions that one of four processes has just made, while all work and make
// others. Every process sees at once that they are done.
func TestPartitionsThatOthersMake(t *testing.T) {
	t.Parallel()
	url := database(t, startServer(t, "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync"))
	var stores [4]*Store
	for i := range stores {
		stores[i] = openStore(t, url, Config{})
		defer stores[i].Close()
	}
	var all sync.WaitGroup
	for i, s := range stores {
		all.Go(func() {
			for n := range 6 {
				c := newClaim()
				claims(t, s, c, refrain.Run)
				e := finish(&c, "paid")
				e.Retention = time.Duration(float64(time.Hour) * math.Pow(1.3, float64(4*n+i))) // which nobody had before
				settles(t, s, e, nil)
				for _, other := range stores {
					claims(t, other, again(c), refrain.Replay)
					if r, err := other.Get(within(t), c.ID); err != nil || r.State != refrain.StateDone {
						t.Errorf("Get: got %v, error %v", r.State, err)
					}
				}
			}
		})
	}
	all.Wait()
}
