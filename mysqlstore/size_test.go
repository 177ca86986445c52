package mysqlstore

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

const (
	workers = 100
	step    = time.Hour
	// stays is for how long answers, and keys, are kept: partitions are never wider, for their time, than for a power of
	// two seconds.
	stays = 1 << 15 * time.Second
)

// inHand is what InnoDB keeps free in a partition's file, as soon as that has more than half a megabyte.
const inHand = 8 << 20

// A load is how many operations come in each step, how large their bodies are, and what is not counted of each file.
type load struct{ ops, body, free int }

// pass makes the operations of a step, at one moment of the server's clock, and does what the store does every minute.
func (h load) pass(t *testing.T, url string, now time.Time) {
	t.Helper()
	s := openStore(t, fmt.Sprintf("%s?timestamp=%d", url, now.Unix()), Config{})
	defer s.Close()
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range h.ops / workers {
				h.one(t, s)
			}
		})
	}
	all.Wait()
	if err := s.sweepOnce(within(t)); err != nil {
		t.Fatalf("sweepOnce: %v", err)
	}
}

func (h load) one(t *testing.T, s *Store) {
	c := newClaim()
	e := finish(&c, "")
	e.Outcome.Body = make([]byte, h.body)
	_, _ = rand.Read(e.Outcome.Body) // it cannot be compressed
	e.Retention, e.Tombstone = stays, 0
	if d, err := s.Claim(within(t), c); err != nil || d.Verdict != refrain.Run {
		t.Errorf("Claim: got %v and error %v", d.Verdict, err)
	}
	if _, err := s.Settle(within(t), e); err != nil {
		t.Errorf("Settle: %v", err)
	}
}

// weigh returns the size of the store's files, and that of the rows, as their columns count, that are not over.
func (h load) weigh(t *testing.T, db *sql.DB, now time.Time) (files, alive int64) {
	t.Helper()
	files = count(t, db, fmt.Sprintf(`SELECT SUM(GREATEST(CAST(file_size AS SIGNED) - %d, 0))
FROM information_schema.innodb_sys_tablespaces WHERE SUBSTRING_INDEX(name, '/', 1) = DATABASE()`, h.free))
	alive = count(t, db, fmt.Sprintf(`SELECT COALESCE(SUM(136 + IF(retain > %[1]d, 16 + o.length, 0)), 0)
FROM refrain_done, (SELECT LENGTH(record) length FROM refrain_outcomes LIMIT 1) o WHERE forget > %[1]d`, column(now)))
	return files, alive
}

// TestSizeUnderChurn makes the operations of many hours, with the hours compressed. When as much is over as comes, the files are at
// most three times as large as the rows in them that are not over. A body of 9 kB is nearly the worst for InnoDB, which has pages
// of their own for rows that are larger than half of one. With small ones, as much data as it takes for the files alone would
// take minutes.
func TestSizeUnderChurn(t *testing.T) {
	t.Parallel()
	on := startServer(t, "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync", "--innodb-doublewrite=OFF")
	for name, h := range map[string]load{"small bodies": {2000, 400, inHand}, "awkward bodies": {1600, 9_000, 0}, "large bodies": {500, 15_000, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if worst := h.worst(t, database(t, on)); worst > 3 || worst == 0 {
				t.Errorf("got files of %.2f times what is alive, want at most 3", worst)
			}
		})
	}
}

// worst returns how many times as large the files are as what is alive, at most.
func (h load) worst(t *testing.T, url string) (worst float64) {
	db := openPlain(t, url)
	start := time.Unix(time.Now().Unix()>>15<<15, 0) // where partitions begin, so that each run is the same
	for i := range 17 {
		now := start.Add(time.Duration(i) * step)
		h.pass(t, url, now)
		if now.Sub(start) > stays+stays/2 {
			files, alive := h.weigh(t, db, now)
			worst = max(worst, float64(files)/float64(alive))
			t.Logf("after %d steps: %d bytes, of %d alive", i+1, files, alive)
		}
	}
	t.Logf("%.2f times at most", worst)
	if n := count(t, db, "SELECT COUNT(*) FROM refrain_done WHERE bucket = 0"); n > 0 {
		t.Errorf("%d operations found no partition", n)
	}
	return worst
}
