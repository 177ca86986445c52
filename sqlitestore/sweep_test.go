package sqlitestore

import (
	"database/sql"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// TestWhatIsOverIsRemoved fills a store with more than one step sweeps, and sees outcomes and then whole operations go, and
// nothing else.
func TestWhatIsOverIsRemoved(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	var ahead atomic.Int64
	s := openStore(t, file, Config{machine: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	defer s.Close()
	db := openDB(t, file)
	kept, token := claimed(t, s, 100*time.Hour)
	stays := finished(kept, token)
	stays.Retention = 1000 * time.Hour
	if _, err := s.Settle(t.Context(), stays); err != nil {
		t.Fatal(err)
	}
	claimed(t, s, time.Minute) // will be unknown
	claimed(t, s, 1000*time.Hour)
	const many = sweepRows + sweepRows/2
	answers := make(chan error)
	for range many {
		go func() {
			var id refrain.ID
			token := refrain.NewToken()
			copy(id[:], token[:])
			_, err := s.Claim(t.Context(), refrain.Claim{ID: id, Token: token, Lease: time.Hour})
			if err == nil {
				_, err = s.Settle(t.Context(), finished(id, token))
			}
			answers <- err
		}()
	}
	for range many {
		if err := <-answers; err != nil {
			t.Fatal(err)
		}
	}
	count := "SELECT count(*) FROM refrain_operations"
	wantCount(t, db, count+" WHERE record IS NOT NULL", many+1)
	ahead.Store(int64(time.Hour))
	awaitCount(t, db, count+" WHERE record IS NOT NULL", 1)
	wantCount(t, db, count, many+3)
	ahead.Store(int64(2 * time.Hour))
	awaitCount(t, db, count, 3)
	wantVerdict(t, s, refrain.Claim{ID: kept}, refrain.Replay)
	if all, err := s.List(t.Context(), refrain.ListQuery{State: refrain.StateUnknown}); err != nil || len(all) != 1 {
		t.Errorf("List: got %d unknown operations, error %v, want 1", len(all), err)
	}
}

// TestUnreadableIsNotRemoved has something to forget of an operation that cannot be read any more.
func TestUnreadableIsNotRemoved(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	s := openStore(t, file, Config{})
	defer s.Close()
	id, token := claimed(t, s, time.Hour)
	if _, err := s.Settle(t.Context(), finished(id, token)); err != nil {
		t.Fatal(err)
	}
	db := openDB(t, file+"?_pragma=busy_timeout(5000)")
	if _, err := db.Exec("UPDATE refrain_operations SET due = 1, head = zeroblob(99), record = NULL"); err != nil {
		t.Fatal(err)
	}
	awaitCount(t, db, "SELECT count(*) FROM refrain_operations WHERE due IS NULL", 1)
	wantVerdict(t, s, refrain.Claim{ID: id}, refrain.Unknown)
}

func counted(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func wantCount(t *testing.T, db *sql.DB, query string, want int) {
	t.Helper()
	if got := counted(t, db, query); got != want {
		t.Errorf("%s: got %d, want %d", query, got, want)
	}
}

// awaitCount waits for the sweeps.
func awaitCount(t *testing.T, db *sql.DB, query string, want int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	patience := time.NewTimer(30 * time.Second) // only a broken store makes anybody wait for so long
	defer patience.Stop()
	for counted(t, db, query) != want {
		select {
		case <-tick.C:
		case <-patience.C:
			t.Fatalf("waited in vain for %d of %s", want, query)
		}
	}
}
