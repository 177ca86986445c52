package mysqlstore

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"testing"
	"time"
)

const (
	// stays is for how long answers, and keys, are kept: partitions are never wider, for their time, than for a power of
	// two seconds.
	stays = 1 << 15 * time.Second
	steps = 16 // of that time
)

// A load is how many operations come in each step, and how large their bodies are.
type load struct{ ops, body int }

// pass makes the operations of a step, at one moment of the server's clock, in groups as the store does, and then what it does
// every minute.
func (h load) pass(t *testing.T, url string, now time.Time) {
	t.Helper()
	s := openStore(t, fmt.Sprintf("%s?timestamp=%d", url, now.Unix()), Config{})
	defer s.Close()
	for left := h.ops; left > 0; left -= maxGroup {
		h.group(t, s, min(left, maxGroup))
	}
	if err := s.sweepOnce(within(t)); err != nil {
		t.Fatalf("sweepOnce: %v", err)
	}
}

func (h load) group(t *testing.T, s *Store, n int) {
	t.Helper()
	var claims, finishes []*request
	for range n {
		c := newClaim()
		claims = append(claims, &request{claim: &c})
	}
	s.work(claims)
	for _, r := range claims {
		e := finish(r.claim, "")
		e.Outcome.Body = make([]byte, h.body)
		_, _ = rand.Read(e.Outcome.Body) // it cannot be compressed
		e.Retention, e.Tombstone = stays, 0
		finishes = append(finishes, &request{settle: &e, record: r.record, plan: s.planFor(t.Context(), &e)})
	}
	s.work(finishes)
	for i := range n {
		if !claims[i].done || !finishes[i].done {
			t.Fatal("an operation is not done")
		}
	}
}

// weigh returns the size of the store's files, and that of the rows, as their columns count, that are not over.
func weigh(t *testing.T, db *sql.DB, now time.Time) (files, alive int64) {
	t.Helper()
	files = count(t, db, `SELECT SUM(file_size) FROM information_schema.innodb_sys_tablespaces
WHERE SUBSTRING_INDEX(name, '/', 1) = DATABASE()`)
	alive = count(t, db, fmt.Sprintf(`SELECT COALESCE(SUM(136 + IF(retain > %[1]d, 16 + o.length, 0)), 0)
FROM refrain_done, (SELECT LENGTH(record) length FROM refrain_outcomes LIMIT 1) o WHERE forget > %[1]d`, column(now)))
	return files, alive
}

// TestSizeUnderChurn makes the operations of many hours, with the hours compressed. When as much is over as comes, the files are at
// most three times as large as the rows in them that are not over. A body of 9 kB is nearly the worst for InnoDB, which has pages
// of their own for rows that are larger than half of one. With less data it could be more, for of each file 8 MB are kept free.
// With REFRAIN_CHURN=all the bodies are of other sizes too: make churn.
func TestSizeUnderChurn(t *testing.T) {
	t.Parallel()
	on := startServer(t, "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync", "--innodb-doublewrite=OFF")
	loads := map[string]load{"awkward bodies": {1_100, 9_000}}
	if os.Getenv("REFRAIN_CHURN") == "all" {
		loads["small bodies"], loads["large bodies"] = load{8_500, 400}, load{300, 15_000}
	}
	for name, h := range loads {
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
	// Partitions end at the steps, and are dropped ten minutes later: the most that is over is there just before that. That is so of
	// all of them after one and a half of the time, and again of the outcomes' after a quarter.
	start := time.Unix(time.Now().Unix()>>15<<15, 0).Add(9 * time.Minute)
	for i := range steps*7/4 + 1 {
		now := start.Add(time.Duration(i) * stays / steps)
		h.pass(t, url, now)
		if i >= steps+steps/2 {
			files, alive := weigh(t, db, now)
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
