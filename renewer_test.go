package refrain

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A renewals counts renewals on a store that runs everything.
type renewals struct {
	downStore
	mu sync.Mutex
	of map[ID]int
}

func (s *renewals) Claim(_ context.Context, c Claim) (Decision, error) {
	d, _ := c.Apply(Record{}, time.Now(), 1)
	return d, nil
}

func (s *renewals) Settle(context.Context, Settlement) (Record, error) { return Record{}, nil }

func (s *renewals) Renew(_ context.Context, r Renewal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[r.ID]++
	return nil
}

// TestRenewerQueues lets claims of two leases begin and end: each is renewed every third of its lease while it lasts, and
// nothing is left of a queue that has none.
func TestRenewerQueues(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &renewals{of: make(map[ID]int)}
		g, err := New(store, Config{})
		if err != nil {
			t.Fatal(err)
		}
		claim := func(key string, lease time.Duration) *Attempt {
			a, err := g.Begin(t.Context(), Operation{Key: key, Policy: &Policy{Lease: lease, Timeout: time.Hour}})
			if err != nil || a.Verdict != Run {
				t.Fatalf("got %v and error %v, want to run", a, err)
			}
			return a
		}
		check := func(a *Attempt, want int) {
			t.Helper()
			synctest.Wait()
			store.mu.Lock()
			defer store.mu.Unlock()
			if n := store.of[a.ID()]; n != want {
				t.Errorf("got %d renewals after %s, want %d", n, time.Since(a.tenure.granted), want)
			}
		}
		queues := func(want int) {
			t.Helper()
			synctest.Wait()
			g.renewer.mu.Lock()
			defer g.renewer.mu.Unlock()
			if n := len(g.renewer.queues); n != want {
				t.Errorf("got %d queues, want %d", n, want)
			}
		}
		early := claim("early", 3*time.Second)
		brief := claim("brief", 3*time.Second)
		slow := claim("slow", 30*time.Second)
		queues(2)
		<-time.After(500 * time.Millisecond)
		late := claim("late", 3*time.Second)
		_ = brief.Release(t.Context())
		<-time.After(10 * time.Second) // 10.5 s in all
		check(early, 10)
		check(late, 10)
		check(brief, 0)
		check(slow, 1)
		_ = early.Release(t.Context())
		_ = late.Release(t.Context())
		<-time.After(2 * time.Second)
		check(early, 10)
		check(late, 10)
		queues(1)
		again := claim("again", 3*time.Second)
		<-time.After(1500 * time.Millisecond)
		check(again, 1)
		_ = again.Release(t.Context())
		_ = slow.Release(t.Context())
		if err := g.Close(t.Context()); err != nil {
			t.Error(err)
		}
		queues(0)
	})
}
