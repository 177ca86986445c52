package refrain_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

// telling is a store that tells when an operation ends, or says so at once although it has not.
type telling struct {
	refrain.Store

	lies   bool
	claims atomic.Int64
	open   atomic.Int64 // watches that have not been stopped

	mu    sync.Mutex
	ended []chan struct{}
}

func (s *telling) Watch(refrain.ID) (<-chan struct{}, func()) {
	c := make(chan struct{})
	if s.lies {
		close(c)
	}
	s.open.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, c)
	return c, func() { s.open.Add(-1) }
}

func (s *telling) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	s.claims.Add(1)
	return s.Store.Claim(ctx, c)
}

func (s *telling) Settle(ctx context.Context, e refrain.Settlement) (refrain.Record, error) {
	r, err := s.Store.Settle(ctx, e)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.ended {
		if !s.lies {
			close(c)
		}
	}
	s.ended = nil
	return r, err
}

// TestAWatcherWakesWaiters lets a duplicate wait in another process: where the store tells, it is answered when the execution
// ends; where it lies, it is answered as without, and asks no more than once too often.
func TestAWatcherWakesWaiters(t *testing.T) {
	t.Parallel()
	const execution = 3100 * time.Millisecond
	for name, test := range map[string]struct {
		lies     bool
		answered time.Duration
		claims   int64
	}{
		"it tells": {false, execution, 1 + 1 + 6 + 1},
		"it lies":  {true, 3500 * time.Millisecond, 1 + 1 + 1 + 7},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				store := &telling{Store: memstore.New(memstore.Config{}), lies: test.lies}
				cfg := refrain.Config{Policy: refrain.Policy{Wait: time.Minute}}
				local, remote := guard(t, store, cfg), guard(t, store, cfg)
				owner := begin(t, local, operation("k"), refrain.Run)
				start := time.Now()
				var all sync.WaitGroup
				all.Go(func() {
					a, err := remote.Begin(t.Context(), operation("k"))
					if err != nil || a.Verdict != refrain.Replay {
						t.Errorf("got %+v and error %v, want %v", a, err, refrain.Replay)
					}
					if waited := time.Since(start); waited != test.answered {
						t.Errorf("got an answer after %v, want it after %v", waited, test.answered)
					}
				})
				pass(execution)
				finish(t, owner, "paid")
				all.Wait()
				if got := store.claims.Load(); got != test.claims {
					t.Errorf("the store was asked %d times, want %d", got, test.claims)
				}
				if got := store.open.Load(); got != 0 {
					t.Errorf("%d watches are left", got)
				}
			})
		})
	}
}
