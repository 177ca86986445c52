package refrain_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

// TestWaiters lets duplicates wait for shorter than, as long as, and longer than the execution takes, in the owner's process
// and in another.
func TestWaiters(t *testing.T) {
	t.Parallel()
	const execution = 3100 * time.Millisecond
	for _, test := range []struct {
		name   string
		wait   time.Duration
		want   refrain.Verdict
		local  time.Duration // when a duplicate in the owner's process is answered
		remote time.Duration // the same in another
	}{
		{"not at all", 0, refrain.InFlight, 0, 0},
		{"too short", 2 * time.Second, refrain.InFlight, 2 * time.Second, 2 * time.Second},
		{"long enough", time.Minute, refrain.Replay, execution, 3500 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				store := memstore.New(memstore.Config{})
				cfg := refrain.Config{Policy: refrain.Policy{Wait: test.wait}}
				local, remote := guard(t, store, cfg), guard(t, store, cfg)
				owner := begin(t, local, operation("k"), refrain.Run)
				start := time.Now()
				var all sync.WaitGroup
				for range 10 {
					for g, at := range map[*refrain.Guard]time.Duration{local: test.local, remote: test.remote} {
						all.Go(func() {
							a, err := g.Begin(t.Context(), operation("k"))
							if err != nil || a.Verdict != test.want {
								t.Errorf("got %+v and error %v, want %v", a, err, test.want)
							}
							if waited := time.Since(start); waited != at {
								t.Errorf("got an answer after %v, want it after %v", waited, at)
							}
						})
					}
				}
				pass(execution)
				finish(t, owner, "paid")
				all.Wait()
				replayed(t, local, operation("k"), "paid")
			})
		})
	}
	t.Run("exactly as long", func(t *testing.T) {
		virtual(t, func(t *testing.T) {
			g := guard(t, memstore.New(memstore.Config{}), refrain.Config{Policy: refrain.Policy{Wait: execution}})
			owner := begin(t, g, operation("k"), refrain.Run)
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					a, err := g.Begin(t.Context(), operation("k"))
					if err != nil || a.Verdict != refrain.InFlight && a.Verdict != refrain.Replay {
						t.Errorf("got %+v and error %v, want one of two verdicts", a, err)
					}
				})
			}
			pass(execution)
			finish(t, owner, "paid")
			all.Wait()
			replayed(t, g, operation("k"), "paid")
		})
	})
}

// TestAWaiterLeavesWithItsCaller ends the caller's context, not the policy's patience.
func TestAWaiterLeavesWithItsCaller(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := memstore.New(memstore.Config{})
		cfg := refrain.Config{Policy: refrain.Policy{Wait: time.Hour}}
		local, remote := guard(t, store, cfg), guard(t, store, cfg)
		owner := begin(t, local, operation("k"), refrain.Run)
		for _, g := range []*refrain.Guard{local, remote} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			start := time.Now()
			a, err := g.Begin(ctx, operation("k"))
			if err != nil || a.Verdict != refrain.InFlight || time.Since(start) != time.Second {
				t.Errorf("got %+v and error %v after %v, want in-flight after 1s", a, err, time.Since(start))
			}
			cancel()
		}
		finish(t, owner, "paid")
	})
}

// TestAWaiterRunsAfterARelease releases again and again: each time one waiter runs, and no other.
func TestAWaiterRunsAfterARelease(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := memstore.New(memstore.Config{})
		cfg := refrain.Config{Policy: refrain.Policy{Wait: time.Hour}}
		guards := []*refrain.Guard{guard(t, store, cfg), guard(t, store, cfg)}
		var running, runs, replays atomic.Int64
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				a, err := guards[i%2].Begin(t.Context(), operation("k"))
				switch {
				case err != nil:
					t.Errorf("Begin: %v", err)
				case a.Verdict == refrain.Replay:
					replays.Add(1)
				case a.Verdict != refrain.Run:
					t.Errorf("got verdict %v, want a run or a replay", a.Verdict)
				default:
					if n := running.Add(1); n != 1 {
						t.Errorf("%d attempts run at once", n)
					}
					pass(time.Second)
					running.Add(-1)
					if runs.Add(1) < 5 {
						err = a.Release(t.Context())
					} else {
						err = a.Finish(t.Context(), refrain.Outcome{})
					}
					if err != nil {
						t.Errorf("ending: %v", err)
					}
				}
			})
		}
		all.Wait()
		if runs.Load() != 5 || replays.Load() != 15 {
			t.Errorf("got %d runs and %d replays, want 5 and 15", runs.Load(), replays.Load())
		}
	})
}

// TestOneLeaderPolls counts what a thousand waiters cost the store while another process works.
func TestOneLeaderPolls(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		cfg := refrain.Config{Policy: refrain.Policy{Wait: 20 * time.Second}}
		owner := begin(t, guard(t, store, cfg), operation("k"), refrain.Run)
		g := guard(t, store, cfg)
		before := store.claims.Load()
		start := time.Now()
		const waiters = 1000
		var all sync.WaitGroup
		var replays atomic.Int64
		for range waiters { // one by one, so that one by one they run out of patience
			all.Go(func() {
				if a, err := g.Begin(t.Context(), operation("k")); err == nil && a.Verdict == refrain.Replay {
					replays.Add(1)
				}
			})
			pass(10 * time.Millisecond)
		}
		pass(15 * time.Second)
		finish(t, owner, "paid")
		all.Wait()
		if claims, seconds := store.claims.Load()-before, time.Since(start).Seconds(); float64(claims) > 2*seconds+5 {
			t.Errorf("got %d claims in %v seconds, want about 2 per second", claims, seconds)
		}
		if n := replays.Load(); n < 400 || n > 600 {
			t.Errorf("got %d replays, want about half of %d: those who had patience left", n, waiters)
		}
	})
}

// TestAnImpatientLeaderDoesNotTakeWaitersAlong lets the first duplicate leave while others have patience.
func TestAnImpatientLeaderDoesNotTakeWaitersAlong(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := memstore.New(memstore.Config{})
		owner := begin(t, guard(t, store, refrain.Config{}), operation("k"), refrain.Run)
		g := guard(t, store, refrain.Config{})
		patient := operation("k")
		patient.Policy = &refrain.Policy{Wait: time.Minute}
		impatient := operation("k")
		impatient.Policy = &refrain.Policy{Wait: time.Second}
		go func() { _, _ = g.Begin(t.Context(), impatient) }()
		synctest.Wait()
		var all sync.WaitGroup
		all.Go(func() { replayed(t, g, patient, "paid") })
		pass(10 * time.Second)
		finish(t, owner, "paid")
		all.Wait()
	})
}

// TestFollowersOfAHoldMayRerun mixes policies: the leader may not take an unknown operation over, its follower may.
func TestFollowersOfAHoldMayRerun(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := &slow{Store: memstore.New(memstore.Config{}), claim: make(chan struct{}), settle: make(chan struct{})}
		close(store.settle)
		g := guard(t, store, refrain.Config{})
		setup := guard(t, store.Store, refrain.Config{})
		if err := begin(t, setup, operation("k"), refrain.Run).MarkUnknown(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		all.Go(func() { begin(t, g, operation("k"), refrain.Unknown) })
		synctest.Wait()
		rerun := operation("k")
		rerun.Policy = &refrain.Policy{Unknown: refrain.Rerun}
		all.Go(func() { finish(t, begin(t, g, rerun, refrain.Run), "paid") })
		synctest.Wait()
		close(store.claim)
		all.Wait()
		replayed(t, g, operation("k"), "paid")
	})
}

// TestWaitersAskTheStoreWhenTheirOwnerWasOvertaken resolves an operation behind its owner's back.
func TestWaitersAskTheStoreWhenTheirOwnerWasOvertaken(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		policy := refrain.Policy{Lease: time.Second, Wait: time.Minute, Unknown: refrain.Rerun}
		g := guard(t, store, refrain.Config{Policy: policy})
		other := guard(t, store, refrain.Config{Policy: policy})
		owner := begin(t, g, operation("k"), refrain.Run)
		store.renewMode.Store(refuses)
		var all sync.WaitGroup
		all.Go(func() { replayed(t, g, operation("k"), "other") })
		pass(time.Second)
		finish(t, begin(t, other, operation("k"), refrain.Run), "other")
		store.renewMode.Store(works)
		all.Wait()
		if err := owner.Finish(t.Context(), refrain.Outcome{}); err == nil {
			t.Error("the finish of an overtaken owner: got no error")
		}
	})
}
