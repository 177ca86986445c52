package mysqlstore

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// TestTheServerCountsAsWeDo compares the partitions that the server computes with those that are computed here.
func TestTheServerCountsAsWeDo(t *testing.T) {
	t.Parallel()
	db := openPlain(t, server(t).URL())
	for _, kept := range []time.Duration{time.Second, 5 * time.Minute, 24 * time.Hour, 8 * 24 * time.Hour, 100 * 365 * 24 * time.Hour} {
		lvl := level(kept, time.Minute)
		end := time.Now().Add(kept)
		var got bucket
		if err := db.QueryRow("SELECT ? DIV ? * 64 + ?", end.UnixMicro(), splitAt(lvl).length, splitAt(lvl).mark).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if want := bucketAt(lvl, end); got != want {
			t.Errorf("kept for %v: got bucket %d, want %d", kept, got, want)
		}
		if over := got.over(); over.Before(end) || over.Sub(end) > max(kept/2, time.Minute) {
			t.Errorf("kept for %v: the partition is over %v later", kept, over.Sub(end))
		}
	}
}

// churn lets operations that are kept for the time given come and go, at a steady pace, and returns how many there were. At some
// time before it is over, each is still known.
func churn(t *testing.T, s *Store, kept, during time.Duration) int {
	t.Helper()
	var all sync.WaitGroup
	var n atomic.Int64
	until := time.Now().Add(during)
	for range 16 {
		all.Go(func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for time.Now().Before(until) {
				c := newClaim()
				claims(t, s, c, refrain.Run)
				e := finish(&c, string(make([]byte, 15_000)))
				e.Retention, e.Tombstone = kept, kept/2
				r := settles(t, s, e, nil)
				n.Add(1)
				<-tick.C
				if rand.IntN(20) == 0 {
					all.Go(func() { stillKnown(t, s, c, r.Forget) })
				}
			}
		})
	}
	all.Wait()
	return int(n.Load())
}

// stillKnown looks again and again at an operation that is done, until just before it is forgotten.
func stillKnown(t *testing.T, s *Store, c refrain.Claim, until time.Time) {
	for range time.Tick(500 * time.Millisecond) {
		d, err := s.Claim(within(t), again(c))
		switch {
		case err != nil:
			t.Errorf("Claim: %v", err)
			return
		case !d.Now.Before(until):
			return
		case d.Verdict != refrain.Replay && d.Verdict != refrain.Expired:
			t.Errorf("got %v, %v before it is forgotten", d.Verdict, until.Sub(d.Now))
			return
		}
	}
}

// count returns the number that the query finds.
func count(t *testing.T, db *sql.DB, query string) (n int64) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// ratios looks every second, from one time to another from now on, how many times as much is in the tables as lives.
func ratios(t *testing.T, db *sql.DB, from, to time.Duration) (list []float64) {
	start := time.Now()
	for range time.Tick(time.Second) {
		switch since := time.Since(start); {
		case since < from:
			continue
		case since > to && len(list) > 0:
			return list
		}
		there := count(t, db, "SELECT 200 * COUNT(*) FROM refrain_done") +
			count(t, db, "SELECT COALESCE(SUM(LENGTH(record)), 0) FROM refrain_outcomes")
		live := count(t, db, "SELECT 200 * COUNT(*) FROM refrain_done WHERE forget > "+nowSQL) +
			count(t, db, `SELECT COALESCE(SUM(LENGTH(o.record)), 1) FROM refrain_done d
JOIN refrain_outcomes o ON o.fence = d.fence AND o.bucket = d.kept WHERE d.retain > `+nowSQL)
		list = append(list, float64(there)/float64(live))
	}
	return list
}

// TestWhatIsOverIsDropped has operations come and go for several times as long as they are kept. What is in the tables is no more than
// three times what lives, at most times that it is looked at, and no row was deleted for it.
func TestWhatIsOverIsDropped(t *testing.T) {
	t.Parallel()
	url := database(t, startServer(t, "--innodb-flush-log-at-trx-commit=0"))
	db := openPlain(t, url)
	const kept = 7500 * time.Millisecond // and half as long again as a tombstone
	s := openStore(t, url, Config{Partition: time.Second, Grace: 500 * time.Millisecond})
	defer s.Close()
	looked := make(chan []float64)
	go func() { looked <- ratios(t, db, 2*kept, 4*kept) }()
	all := churn(t, s, kept, 4*kept)
	left := count(t, db, "SELECT COUNT(*) FROM refrain_done")
	shares := <-looked
	slices.Sort(shares)
	t.Logf("%d operations came, of %d there is a row left; in the tables is %.2f times what lives", all, left, shares)
	if shares[len(shares)/2] > 3 || 2*left > int64(all) {
		t.Errorf("got %.2f times what lives, and %d rows of %d", shares[len(shares)/2], left, all)
	}
	parts := count(t, db, "SELECT COUNT(*) FROM information_schema.partitions WHERE table_schema = DATABASE() AND partition_name <> ''")
	if parts > 20 {
		t.Errorf("there are %d partitions", parts)
	}
	if n := count(t, db, "SELECT COUNT(*) FROM refrain_done WHERE bucket = 0"); n > 0 {
		t.Errorf("%d operations found no partition", n)
	}
}

// TestWithoutPartitions takes the right to make partitions away. Operations are finished all the same, and what is over goes row
// by row.
func TestWithoutPartitions(t *testing.T) {
	t.Parallel()
	server := server(t)
	url := database(t, server)
	db := openPlain(t, url)
	cfg, err := parseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	user := "weak_" + cfg.DBName
	exec(t, db, "CREATE USER "+user+"@'127.0.0.1'")
	exec(t, db, "GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON "+cfg.DBName+".* TO "+user+"@'127.0.0.1'")
	cfg.User = user
	s, err := OpenConfig(t.Context(), cfg, Config{Partition: time.Second, Grace: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, released := newClaim(), newClaim()
	claims(t, s, c, refrain.Run)
	e := finish(&c, "paid")
	e.Retention, e.Tombstone = 50*time.Millisecond, 50*time.Millisecond
	settles(t, s, e, nil)
	claims(t, s, released, refrain.Run)
	settles(t, s, refrain.Settlement{ID: released.ID, Token: released.Token, Ending: refrain.Released}, nil)
	long := newClaim()
	claims(t, s, long, refrain.Run)
	settles(t, s, finish(&long, "kept"), nil)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		var live, done, outcomes int
		err := db.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM refrain_live), (SELECT COUNT(*) FROM refrain_done),
	(SELECT COUNT(*) FROM refrain_outcomes)`).Scan(&live, &done, &outcomes)
		if err != nil {
			t.Fatalf("waiting for the rows to go: %v", err)
		}
		if live == 0 && done == 1 && outcomes == 1 {
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	claims(t, s, again(long), refrain.Replay)
	claims(t, s, again(c), refrain.Run)
}

// TestNobodyWaitsForAPartitionTooLong has somebody take his time to make one.
func TestNobodyWaitsForAPartitionTooLong(t *testing.T) {
	t.Parallel()
	s := openStore(t, database(t, server(t)), Config{})
	defer s.Close()
	s.parts.making <- struct{}{}
	defer func() { <-s.parts.making }()
	c := newClaim()
	claims(t, s, c, refrain.Run)
	if _, err := s.Settle(briefly(t), finish(&c, "paid")); !errors.Is(err, refrain.ErrUnavailable) {
		t.Errorf("got error %v, want %v", err, refrain.ErrUnavailable)
	}
}
