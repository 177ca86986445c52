package mysqlstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// TestSweepTakesAll sweeps more rows than go at a time: of operations that were released, and of those that found no partition.
func TestSweepTakesAll(t *testing.T) {
	t.Parallel()
	url := database(t, server(t))
	db := openPlain(t, url)
	s := openStore(t, url, Config{Grace: time.Minute})
	defer s.Close()
	const many = "FROM refrain_numbers a JOIN refrain_numbers b WHERE b.n < 5"
	const id = "UNHEX(SHA2(CONCAT(a.n, ' ', b.n), 256))"
	exec(t, db, "INSERT INTO refrain_live SELECT "+id+", 0, '', a.n, '', 1, 1, NULL "+many)
	exec(t, db, "INSERT INTO refrain_done SELECT "+id+", 0, a.n * 256 + b.n, '', '', 1, 1, 1, 1, 0 "+many)
	exec(t, db, "INSERT INTO refrain_outcomes SELECT a.n * 256 + b.n, 0, 'old' "+many)
	c, released := newClaim(), newClaim()
	claims(t, s, c, refrain.Run)
	claims(t, s, released, refrain.Run)
	settles(t, s, refrain.Settlement{ID: released.ID, Token: released.Token, Ending: refrain.Released}, nil)
	if err := s.sweepOnce(within(t)); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int64{"refrain_live": 2, "refrain_done": 0, "refrain_outcomes": 0} {
		if n := count(t, db, "SELECT COUNT(*) FROM "+table); n != want {
			t.Errorf("%s: got %d rows, want %d", table, n, want)
		}
	}
}

// TestSweepWithOneConnection sweeps with as few connections as may be asked for.
func TestSweepWithOneConnection(t *testing.T) {
	t.Parallel()
	s := openStore(t, database(t, server(t)), Config{Connections: 1})
	defer s.Close()
	if err := s.sweepOnce(within(t)); err != nil {
		t.Error(err)
	}
}

// TestASweepInVainHoldsNothing lets the time of a sweep run out while another connection of it waits. It does not keep the lock for
// which the next one, of whatever process, would wait.
func TestASweepInVainHoldsNothing(t *testing.T) {
	t.Parallel()
	url := database(t, server(t))
	db := openPlain(t, url)
	s := openStore(t, url, Config{})
	defer s.Close()
	old := bucketAt(0, time.Now().Add(-24*time.Hour))
	exec(t, db, fmt.Sprintf("ALTER TABLE refrain_outcomes ADD PARTITION (PARTITION %s VALUES IN (%d))", old.name(), old))
	letGo := hold(t, db, "refrain_outcomes")
	ctx, cancel := context.WithTimeout(within(t), 300*time.Millisecond)
	defer cancel()
	if err := s.sweepOnce(ctx); err == nil {
		t.Error("a partition was dropped that is in use")
	}
	if n := count(t, db, "SELECT IS_FREE_LOCK("+sweepLock+")"); n != 1 {
		t.Error("the lock is still held")
	}
	letGo()
}

// TestAStoppedProcessLetsGo has a process stand still that sweeps, as far as its server can see. The server ends its connection, so that
// others sweep: here after a hundredth of the time.
func TestAStoppedProcessLetsGo(t *testing.T) {
	t.Parallel()
	url := database(t, server(t))
	db := openPlain(t, url)
	s := openStore(t, url, Config{})
	defer s.Close()
	stopped, err := s.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stopped.Close()
	const sweeps = "SET SESSION wait_timeout = @@wait_timeout DIV 100; DO GET_LOCK(" + sweepLock + ", 0)"
	if _, err := stopped.ExecContext(t.Context(), sweeps); err != nil {
		t.Fatal(err)
	}
	for ctx := within(t); ; {
		var free bool
		err := db.QueryRowContext(ctx, "SELECT IS_FREE_LOCK("+sweepLock+")").Scan(&free)
		if err != nil {
			t.Fatalf("waiting for the lock: %v", err)
		}
		if free {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
}

// TestAPartitionThatIsGone drops the partitions behind a store's back, as a failover to a server that lacks them would. Whoever
// finishes goes on.
func TestAPartitionThatIsGone(t *testing.T) {
	t.Parallel()
	url := database(t, server(t))
	db := openPlain(t, url)
	s := openStore(t, url, Config{})
	defer s.Close()
	gone := func() (c refrain.Claim) {
		c = newClaim()
		claims(t, s, c, refrain.Run)
		settles(t, s, finish(&c, "paid"), nil)
		c = newClaim()
		claims(t, s, c, refrain.Run)
		for _, table := range []string{tableDone, tableOutcomes} {
			var names string
			err := db.QueryRow(`SELECT GROUP_CONCAT(partition_name) FROM information_schema.partitions
WHERE table_schema = DATABASE() AND table_name = ? AND partition_name <> 'p0'`, table).Scan(&names)
			if err != nil {
				t.Fatal(err)
			}
			exec(t, db, "ALTER TABLE "+table+" DROP PARTITION "+names)
		}
		return c
	}
	c := gone()
	settles(t, s, finish(&c, "paid"), nil)
	claims(t, s, again(c), refrain.Replay)

	c = gone()
	tx := begin(t, db, nil)
	if _, err := s.SettleTx(within(t), tx, finish(&c, "paid")); err == nil {
		t.Error("a transaction has recorded an outcome for which there is no place")
	}
	_ = tx.Rollback()
	tx = begin(t, db, nil)
	settlesTx(t, s, tx, finish(&c, "paid"), nil)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	claims(t, s, again(c), refrain.Replay)
}
