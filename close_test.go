package refrain_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

// TestCloseDrains waits for what runs, refuses what is new, and still replays.
func TestCloseDrains(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, memstore.New(memstore.Config{}), refrain.Config{Policy: refrain.Policy{Wait: time.Minute}})
		owner := begin(t, g, operation("k"), refrain.Run)
		var closed atomic.Bool
		var all sync.WaitGroup
		all.Go(func() {
			if err := g.Close(t.Context()); err != nil {
				t.Errorf("Close: %v", err)
			}
			closed.Store(true)
		})
		synctest.Wait()
		_, err := g.Begin(t.Context(), operation("new"))
		if !errors.Is(err, refrain.ErrClosed) || !errors.Is(err, refrain.ErrUnavailable) {
			t.Errorf("a new operation: got error %v, want %v", err, refrain.ErrClosed)
		}
		all.Go(func() { replayed(t, g, operation("k"), "paid") }) // a duplicate of what runs may wait
		pass(10 * time.Second)
		if closed.Load() || g.Running() != 1 {
			t.Errorf("Close did not wait, or %d attempts run, want 1", g.Running())
		}
		finish(t, owner, "paid")
		all.Wait()
		if err := g.Close(t.Context()); err != nil {
			t.Errorf("the second Close: %v", err)
		}
		if n := g.Running(); n != 0 {
			t.Errorf("got %d attempts that run, want 0", n)
		}
	})
}

// TestCloseDoesNotWaitForWaiters lets attempts go that only wait for another process.
func TestCloseDoesNotWaitForWaiters(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := memstore.New(memstore.Config{})
		owner := begin(t, guard(t, store, refrain.Config{}), operation("k"), refrain.Run)
		g := guard(t, store, refrain.Config{Policy: refrain.Policy{Wait: time.Hour}})
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				a, err := g.Begin(t.Context(), operation("k"))
				if !errors.Is(err, refrain.ErrClosed) && (err != nil || a.Verdict != refrain.InFlight) {
					t.Errorf("got %+v and error %v, want in-flight or %v", a, err, refrain.ErrClosed)
				}
			})
		}
		pass(time.Second)
		start := time.Now()
		if err := g.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		all.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("Close took %v, want it at once", took)
		}
		finish(t, owner, "paid")
	})
}

// TestCloseSaysWhatIsLeft gives Close too little time.
func TestCloseSaysWhatIsLeft(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		g := guard(t, store, refrain.Config{})
		owner := begin(t, g, operation("k"), refrain.Run)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := g.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("got error %v after %v, want %v after 1s", err, time.Since(start), context.DeadlineExceeded)
		}
		store.fail(hangs)
		if err := owner.Finish(t.Context(), refrain.Outcome{Body: []byte("paid")}); !errors.Is(err, refrain.ErrUnrecorded) {
			t.Errorf("got error %v, want %v", err, refrain.ErrUnrecorded)
		}
		if err := g.Close(t.Context()); !errors.Is(err, refrain.ErrUnrecorded) {
			t.Errorf("got error %v, want %v", err, refrain.ErrUnrecorded)
		}
	})
}

// TestCloseTriesOnceMore has the store come back just before.
func TestCloseTriesOnceMore(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		g := guard(t, store, refrain.Config{})
		const outcomes = 50
		var owners []*refrain.Attempt
		for i := range outcomes {
			owners = append(owners, begin(t, g, operation(string(rune('A'+i))), refrain.Run))
		}
		store.fail(refuses)
		for _, o := range owners {
			_ = o.Finish(t.Context(), refrain.Outcome{Body: []byte("paid")})
		}
		pass(time.Minute)
		if n := g.Unrecorded(); n != outcomes {
			t.Errorf("got %d unrecorded outcomes, want %d", n, outcomes)
		}
		store.fail(works)
		start := time.Now()
		if err := g.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(start); took != 0 || g.Unrecorded() != 0 {
			t.Errorf("Close took %v and left %d outcomes, want it at once and none", took, g.Unrecorded())
		}
		other := guard(t, store, refrain.Config{})
		for i := range outcomes {
			replayed(t, other, operation(string(rune('A'+i))), "paid")
		}
	})
}

// TestCloseDoesNotWaitToForget closes a guard that has many keys to forget and a store that does not answer: what time there is
// belongs to the outcomes.
func TestCloseDoesNotWaitToForget(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		g := guard(t, store, refrain.Config{})
		var keys [][]byte
		for i := range 100 {
			keys = append(keys, []byte(string(rune('A'+i))))
			finish(t, begin(t, g, operation(string(keys[i])), refrain.Run), "paid")
		}
		owner := begin(t, g, operation("last"), refrain.Run)
		store.fail(hangs)
		g.Forget(operation("").Scope, slices.Values(keys))
		_ = owner.Finish(t.Context(), refrain.Outcome{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := g.Close(ctx); !errors.Is(err, refrain.ErrUnrecorded) || ctx.Err() != nil {
			t.Errorf("Close: got error %v, and the time is up: %v; want %v, and time left", err, ctx.Err(), refrain.ErrUnrecorded)
		}
	})
}

// TestCloseRaces closes a guard while many attempts begin and end, with a store that is away now and then. Under the race
// detector it also looks for unguarded memory.
func TestCloseRaces(t *testing.T) {
	t.Parallel()
	for range 5 {
		store := newFaulty()
		g := guard(t, store, refrain.Config{})
		var all sync.WaitGroup
		warm := make(chan struct{}, 32)
		for i := range cap(warm) {
			all.Go(func() {
				for n := 0; ; n++ {
					if n == 10 {
						warm <- struct{}{}
					}
					store.settleMode.Store(int32(n / 3 % 2)) // works or refuses
					a, err := g.Begin(t.Context(), operation(fmt.Sprint(i/8, " ", n)))
					switch {
					case errors.Is(err, refrain.ErrClosed):
						return
					case err != nil || a.Verdict != refrain.Run:
					case n%3 == 0:
						_ = a.Release(t.Context())
					default:
						_ = a.Finish(t.Context(), refrain.Outcome{})
					}
				}
			})
		}
		for range cap(warm) {
			<-warm
		}
		if err := g.Close(t.Context()); err != nil && !errors.Is(err, refrain.ErrUnrecorded) {
			t.Errorf("Close: %v", err)
		}
		all.Wait()
		if n := g.Running(); n != 0 {
			t.Errorf("got %d attempts that run, want 0", n)
		}
	}
}
