package refrain_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

// resolve wants the error.
func resolve(t *testing.T, g *refrain.Guard, id refrain.ID, res refrain.Resolution, want error) refrain.Record {
	t.Helper()
	r, err := g.Resolve(t.Context(), id, res)
	if !errors.Is(err, want) {
		t.Fatalf("Resolve %v: got error %v, want %v", res.Ending, err, want)
	}
	return r
}

func as(a *refrain.Attempt, e refrain.Ending, body string) refrain.Resolution {
	return refrain.Resolution{
		Fence: a.Fence(), Ending: e, Outcome: refrain.Outcome{Status: 201, Body: []byte(body)}, By: "ada", Reason: "looked it up",
	}
}

// inEveryStore runs the test with a store that keeps outcomes in memory itself, and with one for which the guard does.
func inEveryStore(t *testing.T, f func(t *testing.T, s refrain.Store)) {
	t.Run("peeker", func(t *testing.T) {
		virtual(t, func(t *testing.T) { f(t, memstore.New(memstore.Config{})) })
	})
	t.Run("recall", func(t *testing.T) {
		virtual(t, func(t *testing.T) { f(t, newFaulty()) })
	})
}

// TestResolve ends unknown operations by hand, each way, and forgets one that is done.
func TestResolve(t *testing.T) {
	t.Parallel()
	inEveryStore(t, func(t *testing.T, s refrain.Store) {
		seen := &events{}
		g := guard(t, s, refrain.Config{Observer: seen})
		a := unknown(t, g, operation("done"))
		if r := resolve(t, g, a.ID(), as(a, refrain.Finished, "paid"), nil); r.State != refrain.StateDone {
			t.Errorf("got %v, want it done", r.State)
		}
		replayed(t, g, operation("done"), "paid")

		b := unknown(t, g, operation("released"))
		resolve(t, g, b.ID(), as(b, refrain.Released, ""), nil)
		finish(t, begin(t, g, operation("released"), refrain.Run), "second")

		replayed(t, g, operation("done"), "paid") // from memory
		resolve(t, g, a.ID(), as(a, refrain.Forgotten, ""), nil)
		finish(t, begin(t, g, operation("done"), refrain.Run), "again")
		replayed(t, g, operation("done"), "again")
		if n := seen.count(refrain.EventResolved); n != 3 {
			t.Errorf("got %d events, want 3", n)
		}
	})
}

// TestResolveKeeps keeps what an operator recorded for as long as the operator says, or else the guard's policy.
func TestResolveKeeps(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, newFaulty(), refrain.Config{Policy: refrain.Policy{Retention: time.Hour, Tombstone: time.Hour}})
		a, b := unknown(t, g, operation("a")), unknown(t, g, operation("b"))
		resolve(t, g, a.ID(), as(a, refrain.Finished, "paid"), nil)
		long := as(b, refrain.Finished, "paid")
		long.Keep = refrain.Keep{Retention: 3 * time.Hour, Tombstone: -1}
		resolve(t, g, b.ID(), long, nil)
		pass(time.Hour)
		begin(t, g, operation("a"), refrain.Expired)
		resolve(t, g, a.ID(), as(a, refrain.Forgotten, ""), nil) // tombstones can be forgotten too
		finish(t, begin(t, g, operation("a"), refrain.Run), "again")
		replayed(t, g, operation("b"), "paid")
		pass(2 * time.Hour)
		finish(t, begin(t, g, operation("b"), refrain.Run), "again")
	})
}

// TestResolveOnlyWhatWasSeen refuses every resolution of an operation that is in another state, or another claim, than the
// operator saw, and leaves it as it is.
func TestResolveOnlyWhatWasSeen(t *testing.T) {
	t.Parallel()
	inEveryStore(t, func(t *testing.T, s refrain.Store) {
		g := guard(t, s, refrain.Config{})
		resolve(t, g, refrain.ID{1}, refrain.Resolution{Ending: refrain.Released}, refrain.ErrAbsent)

		a := begin(t, g, operation("k"), refrain.Run)
		for _, e := range []refrain.Ending{refrain.Finished, refrain.Released, refrain.Forgotten, refrain.Undecided} {
			resolve(t, g, a.ID(), as(a, e, "forged"), refrain.ErrWrongState)
		}
		if err := a.MarkUnknown(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		resolve(t, g, a.ID(), as(a, refrain.Forgotten, ""), refrain.ErrWrongState)
		resolve(t, g, a.ID(), as(a, refrain.Undecided, ""), refrain.ErrWrongState)

		rerun := operation("k")
		rerun.Policy = &refrain.Policy{Unknown: refrain.Rerun}
		b := begin(t, g, rerun, refrain.Run)
		if err := b.MarkUnknown(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		resolve(t, g, a.ID(), as(a, refrain.Released, ""), refrain.ErrChanged)
		resolve(t, g, a.ID(), as(a, refrain.Finished, "forged"), refrain.ErrChanged)
		finish(t, begin(t, g, rerun, refrain.Run), "paid")
		done := replayed(t, g, operation("k"), "paid")
		resolve(t, g, a.ID(), as(done, refrain.Finished, "forged"), refrain.ErrWrongState)
		resolve(t, g, a.ID(), as(done, refrain.Released, ""), refrain.ErrWrongState)
		resolve(t, g, a.ID(), as(b, refrain.Forgotten, ""), refrain.ErrChanged)
		replayed(t, g, operation("k"), "paid")
	})
}

// TestResolveUnreadable leaves a record that cannot be read as it is.
func TestResolveUnreadable(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, unreadable{newFaulty()}, refrain.Config{})
		for _, e := range []refrain.Ending{refrain.Finished, refrain.Released, refrain.Forgotten} {
			resolve(t, g, refrain.ID{1}, refrain.Resolution{Ending: e}, refrain.ErrWrongState)
		}
	})
}

// TestResolveRefusesALateOwner lets an owner that was cut off end its claim after an operator did.
func TestResolveRefusesALateOwner(t *testing.T) {
	t.Parallel()
	for _, e := range []refrain.Ending{refrain.Finished, refrain.Released} {
		t.Run(e.String(), func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				store := newFaulty()
				owner := guard(t, store, refrain.Config{Policy: refrain.Policy{Lease: time.Second}})
				other := guard(t, store, refrain.Config{})
				a := begin(t, owner, operation("k"), refrain.Run)
				store.renewMode.Store(refuses)
				pass(time.Second)
				resolve(t, other, a.ID(), as(a, e, "resolved"), nil)
				if err := a.Finish(t.Context(), refrain.Outcome{Body: []byte("late")}); !errors.Is(err, refrain.ErrStale) {
					t.Errorf("the late finish: got error %v, want %v", err, refrain.ErrStale)
				}
				if e == refrain.Released {
					finish(t, begin(t, other, operation("k"), refrain.Run), "resolved")
				}
				replayed(t, owner, operation("k"), "resolved")
			})
		})
	}
}

// TestResolveWaitsForWhatRunsHere resolves an operation whose lease has lapsed while its owner, in this process, works on.
func TestResolveWaitsForWhatRunsHere(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		g := guard(t, store, refrain.Config{Policy: refrain.Policy{Lease: time.Second, Wait: time.Minute}})
		a := begin(t, g, operation("k"), refrain.Run)
		store.renewMode.Store(refuses)
		pass(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := g.Resolve(ctx, a.ID(), as(a, refrain.Released, "")); !errors.Is(err, refrain.ErrWrongState) {
			t.Errorf("got error %v, want %v", err, refrain.ErrWrongState)
		}
		var all sync.WaitGroup
		all.Go(func() { resolve(t, g, a.ID(), as(a, refrain.Released, ""), refrain.ErrWrongState) })
		all.Go(func() { replayed(t, g, operation("k"), "paid") })
		synctest.Wait()
		finish(t, a, "paid")
		all.Wait()
	})
}

// TestResolveKeepsOthersWaiting lets duplicates arrive while an operator resolves: they hear what it led to.
func TestResolveKeepsOthersWaiting(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := &slow{Store: memstore.New(memstore.Config{}), claim: make(chan struct{}), settle: make(chan struct{})}
		close(store.claim)
		a := unknown(t, guard(t, store.Store, refrain.Config{}), operation("k"))
		g := guard(t, store, refrain.Config{})
		var all sync.WaitGroup
		all.Go(func() { resolve(t, g, a.ID(), as(a, refrain.Finished, "paid"), nil) })
		synctest.Wait()
		for range 10 {
			all.Go(func() { replayed(t, g, operation("k"), "paid") })
		}
		synctest.Wait()
		close(store.settle)
		all.Wait()
	})
}

// TestResolveLeavesEndingsThatWaitForTheStore knows better than the store, and says so.
func TestResolveLeavesEndingsThatWaitForTheStore(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		g := guard(t, store, refrain.Config{Journal: &memoryJournal{}, Policy: refrain.Policy{Lease: time.Second}})
		a := begin(t, g, operation("k"), refrain.Run)
		store.fail(refuses)
		if err := a.Finish(t.Context(), refrain.Outcome{Body: []byte("paid")}); !errors.Is(err, refrain.ErrUnrecorded) {
			t.Fatalf("Finish: got error %v", err)
		}
		pass(time.Second)
		if r, err := g.Lookup(t.Context(), a.ID()); !errors.Is(err, refrain.ErrUnrecorded) || r.State != refrain.StateDone {
			t.Errorf("Lookup: got %+v and error %v, want what is in the journal", r, err)
		}
		resolve(t, g, a.ID(), as(a, refrain.Released, ""), refrain.ErrUnrecorded)
		store.fail(works)
		pass(time.Minute)
		replayed(t, g, operation("k"), "paid")
	})
}

// TestResolveWhileTheStoreIsAway says so, and may be repeated.
func TestResolveWhileTheStoreIsAway(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		g := guard(t, store, refrain.Config{})
		a := unknown(t, g, operation("k"))
		store.settleMode.Store(hangs)
		resolve(t, g, a.ID(), as(a, refrain.Finished, "paid"), refrain.ErrUnavailable)
		begin(t, g, operation("k"), refrain.Unknown)
		store.settleMode.Store(losesReply)
		resolve(t, g, a.ID(), as(a, refrain.Finished, "paid"), refrain.ErrUnavailable)
		store.settleMode.Store(works)
		resolve(t, g, a.ID(), as(a, refrain.Finished, "paid"), refrain.ErrWrongState) // it is done
		replayed(t, g, operation("k"), "paid")
	})
}

// TestResolveByAClosedGuard is refused.
func TestResolveByAClosedGuard(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, newFaulty(), refrain.Config{})
		a := unknown(t, g, operation("k"))
		if err := g.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		resolve(t, g, a.ID(), as(a, refrain.Released, ""), refrain.ErrClosed)
	})
}

// TestResolutionsAreAudited finds who, why and what in the log, and no key.
func TestResolutionsAreAudited(t *testing.T) {
	virtual(t, func(t *testing.T) {
		var log strings.Builder
		g := guard(t, newFaulty(), refrain.Config{Logger: textLogger(&log)})
		a := unknown(t, g, operation("secret-key"))
		log.Reset()
		resolve(t, g, a.ID(), as(a, refrain.Finished, "body"), nil)
		for _, want := range []string{
			"operation resolved by an operator", "op=" + a.ID().String(), "was=unknown", "ending=finished", "by=ada",
			`reason="looked it up"`, "code=201",
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("got log %s, want it to have %s", log.String(), want)
			}
		}
		if strings.Contains(log.String(), "secret-key") || strings.Contains(log.String(), "body") {
			t.Errorf("got log %s, want neither key nor body", log.String())
		}
		log.Reset()
		resolve(t, g, a.ID(), as(a, refrain.Released, ""), refrain.ErrWrongState)
		if log.Len() > 0 {
			t.Errorf("got log %s of a resolution that was refused", log.String())
		}
	})
}

// TestFinishFor keeps a failure for less time than the policy keeps a success.
func TestFinishFor(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, newFaulty(), refrain.Config{})
		short := begin(t, g, operation("short"), refrain.Run)
		forgotten := begin(t, g, operation("forgotten"), refrain.Run)
		o := refrain.Outcome{Status: 500, Body: []byte("sorry")}
		if err := short.FinishFor(t.Context(), o, refrain.Keep{Retention: time.Minute}); err != nil {
			t.Fatal(err)
		}
		if err := forgotten.FinishFor(t.Context(), o, refrain.Keep{Retention: time.Minute, Tombstone: -1}); err != nil {
			t.Fatal(err)
		}
		replayed(t, g, operation("short"), "sorry")
		replayed(t, g, operation("forgotten"), "sorry")
		pass(time.Minute)
		begin(t, g, operation("short"), refrain.Expired)
		finish(t, begin(t, g, operation("forgotten"), refrain.Run), "paid")
	})
}
