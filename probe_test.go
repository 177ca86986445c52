package refrain_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

// An upstream answers probes.
type upstream struct {
	asked   atomic.Int64
	finding refrain.Finding
	err     error
	hold    chan struct{} // if not nil, probes wait until it is closed
}

func (u *upstream) probe(ctx context.Context, r refrain.Record) (refrain.Finding, error) {
	u.asked.Add(1)
	if r.State != refrain.StateUnknown || r.Fence == 0 {
		return refrain.Finding{}, fmt.Errorf("asked about a record in state %v", r.State)
	}
	if u.hold != nil {
		select {
		case <-u.hold:
		case <-ctx.Done():
			return refrain.Finding{Answer: refrain.DidNotHappen}, ctx.Err()
		}
	}
	return u.finding, u.err
}

// probing returns an operation that asks the upstream, at once.
func (u *upstream) probing(key string) refrain.Operation {
	op := operation(key)
	op.Policy = &refrain.Policy{Unknown: refrain.Probe, Quiet: -1, Wait: time.Minute}
	op.Probe = u.probe
	return op
}

// unknown makes the operation unknown and returns the attempt that did.
func unknown(t *testing.T, g *refrain.Guard, op refrain.Operation) *refrain.Attempt {
	t.Helper()
	a := begin(t, g, op, refrain.Run)
	if err := a.MarkUnknown(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return a
}

func happened(body string) refrain.Finding {
	return refrain.Finding{Answer: refrain.Happened, Outcome: refrain.Outcome{Status: 201, Body: []byte(body)}}
}

// TestProbeThatHappened asks once for all duplicates, and all get the outcome, then and later.
func TestProbeThatHappened(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		seen := &events{}
		u := &upstream{finding: happened("paid"), hold: make(chan struct{})}
		g := guard(t, store, refrain.Config{Observer: seen})
		unknown(t, g, operation("k"))
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { replayed(t, g, u.probing("k"), "paid") })
		}
		synctest.Wait()
		close(u.hold)
		all.Wait()
		replayed(t, g, operation("k"), "paid")
		replayed(t, guard(t, store, refrain.Config{}), operation("k"), "paid")
		if n, e := u.asked.Load(), seen.count(refrain.EventProbed); n != 1 || e != 1 {
			t.Errorf("the upstream was asked %d times and told of %d, want 1", n, e)
		}
	})
}

// TestProbeOfATombstone learns that it happened but not what the answer was.
func TestProbeOfATombstone(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, memstore.New(memstore.Config{}), refrain.Config{})
		u := &upstream{finding: refrain.Finding{Answer: refrain.Happened, Outcome: refrain.Outcome{Omitted: true}}}
		unknown(t, g, operation("k"))
		if a := begin(t, g, u.probing("k"), refrain.Replay); !a.Record.Outcome.Omitted {
			t.Errorf("got outcome %+v, want it omitted", a.Record.Outcome)
		}
	})
}

// TestProbeThatDidNotHappen lets one duplicate run, and the others get its outcome.
func TestProbeThatDidNotHappen(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		u := &upstream{finding: refrain.Finding{Answer: refrain.DidNotHappen}}
		guards := []*refrain.Guard{guard(t, store, refrain.Config{}), guard(t, store, refrain.Config{})}
		old := unknown(t, guards[0], operation("k"))
		var runs atomic.Int64
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				a, err := guards[i%2].Begin(t.Context(), u.probing("k"))
				switch {
				case err != nil:
					t.Errorf("Begin: %v", err)
				case a.Verdict == refrain.Run:
					runs.Add(1)
					if a.Fence() <= old.Fence() {
						t.Errorf("got fence %d after %d, want a greater one", a.Fence(), old.Fence())
					}
					pass(time.Second)
					finish(t, a, "second")
				case a.Verdict != refrain.Replay || string(a.Record.Outcome.Body) != "second":
					t.Errorf("got %v with %+v, want the run's outcome", a.Verdict, a.Record)
				}
			})
		}
		all.Wait()
		if runs.Load() != 1 {
			t.Errorf("got %d runs, want 1", runs.Load())
		}
		if n := u.asked.Load(); n < 1 || n > 2 {
			t.Errorf("the upstream was asked %d times by two processes", n)
		}
	})
}

// TestProbeThatCannotTell leaves the operation unknown and asks ever more seldom, whatever the reason.
func TestProbeThatCannotTell(t *testing.T) {
	t.Parallel()
	for name, u := range map[string]*upstream{
		"it says so":        {},
		"it fails":          {finding: happened("forged"), err: errors.New("connection reset")},
		"it makes no sense": {finding: refrain.Finding{Answer: 99}},
		"it does not come":  {hold: make(chan struct{})},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				if u.hold != nil {
					u.hold = make(chan struct{}) // of this bubble, and never closed
				}
				g := guard(t, memstore.New(memstore.Config{}), refrain.Config{})
				unknown(t, g, operation("k"))
				start := time.Now()
				for time.Since(start) < time.Hour {
					begin(t, g, u.probing("k"), refrain.Unknown)
					pass(100 * time.Millisecond)
				}
				if n := u.asked.Load(); n < 50 || n > 70 {
					t.Errorf("the upstream was asked %d times in an hour, want about once a minute", n)
				}
				u.finding, u.err, u.hold = happened("paid"), nil, nil
				pass(time.Minute)
				replayed(t, g, u.probing("k"), "paid")
			})
		})
	}
}

// TestNobodyWaitsForTwoProbes has many duplicates wait for an upstream that does not answer.
func TestNobodyWaitsForTwoProbes(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, memstore.New(memstore.Config{}), refrain.Config{})
		u := &upstream{hold: make(chan struct{})}
		unknown(t, g, operation("k"))
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				start := time.Now()
				op := u.probing("k")
				op.Policy.ProbeTimeout = time.Minute
				begin(t, g, op, refrain.Unknown)
				if took := time.Since(start); took > time.Minute {
					t.Errorf("it took %s, want no more than one probe", took)
				}
			})
		}
		all.Wait()
		if n := u.asked.Load(); n != 1 {
			t.Errorf("the upstream was asked %d times, want 1", n)
		}
	})
}

// TestProbeThatDoesNotComeToAsk is tried once a second all the time, for the upstream has not said that it cannot tell.
func TestProbeThatDoesNotComeToAsk(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, memstore.New(memstore.Config{}), refrain.Config{})
		u := &upstream{}
		unknown(t, g, operation("k"))
		for range 5 { // the pause is 16 seconds then
			begin(t, g, u.probing("k"), refrain.Unknown)
			pass(16 * time.Second)
		}
		u.err = fmt.Errorf("too many: %w", refrain.ErrNotAsked)
		for range 6000 {
			begin(t, g, u.probing("k"), refrain.Unknown)
			pass(100 * time.Millisecond)
		}
		if n := u.asked.Load(); n < 590 || n > 620 {
			t.Errorf("it was tried %d times in ten minutes, want about once a second", n)
		}
		u.finding, u.err = happened("paid"), nil
		pass(time.Second)
		replayed(t, g, u.probing("k"), "paid")
	})
}

// TestProbeWaitsUntilAnExecutionHasEnded lets a lease lapse long before the execution's timeout, which begins when a slow store has
// answered the claim.
func TestProbeWaitsUntilAnExecutionHasEnded(t *testing.T) {
	virtual(t, func(t *testing.T) {
		const slow = time.Second
		store := newFaulty()
		u := &upstream{finding: refrain.Finding{Answer: refrain.DidNotHappen}}
		op := u.probing("k")
		op.Policy.Quiet, op.Policy.Lease, op.Policy.Timeout = 0, time.Second, time.Minute
		old := begin(t, guard(t, late{store, slow}, refrain.Config{StoreTimeout: slow}), op, refrain.Run)
		execution, cancel := old.Context(t.Context())
		defer cancel()
		store.renewMode.Store(refuses)
		other := guard(t, store, refrain.Config{StoreTimeout: slow})
		pass(slow)
		for execution.Err() == nil {
			begin(t, other, op, refrain.Unknown)
			pass(time.Second)
		}
		if n := u.asked.Load(); n != 0 {
			t.Fatalf("the upstream was asked %d times while the execution may last", n)
		}
		a := begin(t, other, op, refrain.Run)
		if err := old.Finish(t.Context(), refrain.Outcome{}); !errors.Is(err, refrain.ErrStale) {
			t.Errorf("the finish of the old owner: got error %v, want %v", err, refrain.ErrStale)
		}
		finish(t, a, "second")
	})
}

// A late store takes its time to answer claims.
type late struct {
	*faulty
	by time.Duration
}

func (s late) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	d, err := s.faulty.Claim(ctx, c)
	pass(s.by)
	return d, err
}

// TestProbeRacesALateFinish lets the owner finish while the upstream is asked, and before and after: one of the two wins, and
// the other learns so.
func TestProbeRacesALateFinish(t *testing.T) {
	t.Parallel()
	for _, finding := range []refrain.Finding{happened("probed"), {Answer: refrain.DidNotHappen}} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprint(finding.Answer, ", late ", late), func(t *testing.T) {
				virtual(t, func(t *testing.T) {
					store := newFaulty()
					u := &upstream{finding: finding, hold: make(chan struct{})}
					owner := guard(t, store, refrain.Config{Policy: refrain.Policy{Lease: time.Second}})
					old := begin(t, owner, operation("k"), refrain.Run)
					store.renewMode.Store(refuses)
					pass(time.Second)
					other := guard(t, store, refrain.Config{})
					decided := make(chan *refrain.Attempt, 1)
					go func() {
						a, err := other.Begin(t.Context(), u.probing("k"))
						if err != nil {
							t.Errorf("Begin: %v", err)
						}
						decided <- a
					}()
					synctest.Wait()
					if !late {
						finish(t, old, "late")
					}
					close(u.hold)
					a := <-decided
					switch {
					case !late:
						if a.Verdict != refrain.Replay || string(a.Record.Outcome.Body) != "late" {
							t.Errorf("got %v with %+v, want what the owner finished", a.Verdict, a.Record)
						}
						return
					case finding.Answer == refrain.DidNotHappen:
						finish(t, a, "probed")
					}
					err := old.Finish(t.Context(), refrain.Outcome{Status: 201, Body: []byte("late")})
					if !errors.Is(err, refrain.ErrStale) {
						t.Errorf("the late finish: got error %v, want %v", err, refrain.ErrStale)
					}
					replayed(t, owner, operation("k"), "probed")
				})
			})
		}
	}
}

// TestProbeDoesNotEndALivingOwner lets a cut-off owner renew its lease while the upstream is asked.
func TestProbeDoesNotEndALivingOwner(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		u := &upstream{finding: refrain.Finding{Answer: refrain.DidNotHappen}, hold: make(chan struct{})}
		op := u.probing("k")
		op.Policy.Wait, op.Policy.Lease = 0, 3*time.Second
		old := begin(t, guard(t, store, refrain.Config{}), op, refrain.Run)
		store.renewMode.Store(refuses)
		pass(3500 * time.Millisecond)
		other := guard(t, store, refrain.Config{})
		var all sync.WaitGroup
		all.Go(func() { begin(t, other, op, refrain.InFlight) })
		synctest.Wait()
		store.renewMode.Store(works)
		pass(time.Second) // in which it renews
		close(u.hold)
		all.Wait()
		finish(t, old, "paid")
		replayed(t, other, operation("k"), "paid")
	})
}

// TestProbeOfAnUnreadableRecord does not ask: no claim is known that the answer could be about.
func TestProbeOfAnUnreadableRecord(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, unreadable{newFaulty()}, refrain.Config{})
		u := &upstream{finding: refrain.Finding{Answer: refrain.DidNotHappen}}
		begin(t, g, u.probing("k"), refrain.Unknown)
		if n := u.asked.Load(); n != 0 {
			t.Errorf("the upstream was asked %d times", n)
		}
	})
}

// An unreadable store can read none of its records.
type unreadable struct{ *faulty }

func (unreadable) Claim(context.Context, refrain.Claim) (refrain.Decision, error) {
	return refrain.Decision{Verdict: refrain.Unknown, Record: refrain.Unreadable(), Now: time.Now()}, nil
}

func (unreadable) Get(context.Context, refrain.ID) (refrain.Record, error) {
	return refrain.Unreadable(), nil
}

// TestProbeWhileTheStoreIsAway finds out and cannot have it recorded: it stays unknown, and is asked again later.
func TestProbeWhileTheStoreIsAway(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		u := &upstream{finding: happened("paid")}
		g := guard(t, store, refrain.Config{})
		unknown(t, g, operation("k"))
		store.settleMode.Store(hangs)
		begin(t, g, u.probing("k"), refrain.Unknown)
		begin(t, g, u.probing("k"), refrain.Unknown)
		store.settleMode.Store(losesReply)
		pass(time.Second)
		begin(t, g, u.probing("k"), refrain.Unknown)
		replayed(t, g, operation("k"), "paid")
	})
}

// TestFollowersOfAHoldMayProbe mixes policies: the leader may not ask, its follower may.
func TestFollowersOfAHoldMayProbe(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := &slow{Store: memstore.New(memstore.Config{}), claim: make(chan struct{}), settle: make(chan struct{})}
		close(store.settle)
		u := &upstream{finding: happened("paid")}
		g := guard(t, store, refrain.Config{})
		unknown(t, guard(t, store.Store, refrain.Config{}), operation("k"))
		var all sync.WaitGroup
		all.Go(func() { begin(t, g, operation("k"), refrain.Unknown) })
		synctest.Wait()
		all.Go(func() { replayed(t, g, u.probing("k"), "paid") })
		synctest.Wait()
		close(store.claim)
		all.Wait()
	})
}

// TestProbedOperationsAreBounded asks about more operations than are remembered.
func TestProbedOperationsAreBounded(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, memstore.New(memstore.Config{}), refrain.Config{})
		u := &upstream{}
		for i := range refrain.MaxProbed + 100 {
			key := fmt.Sprint(i)
			unknown(t, g, operation(key))
			begin(t, g, u.probing(key), refrain.Unknown)
		}
		if n := g.Probed(); n != refrain.MaxProbed {
			t.Errorf("got %d operations remembered, want %d", n, refrain.MaxProbed)
		}
		asked := u.asked.Load()
		begin(t, g, u.probing(fmt.Sprint(refrain.MaxProbed)), refrain.Unknown)
		if u.asked.Load() != asked {
			t.Error("an operation that was asked about just now was asked about again")
		}
	})
}

// TestAProbeThatFailsIsLoggedWithoutKey reads the log.
func TestAProbeThatFailsIsLoggedWithoutKey(t *testing.T) {
	virtual(t, func(t *testing.T) {
		var log strings.Builder
		g := guard(t, memstore.New(memstore.Config{}), refrain.Config{Logger: textLogger(&log)})
		u := &upstream{err: errors.New("connection reset")}
		unknown(t, g, operation("secret-key"))
		begin(t, g, u.probing("secret-key"), refrain.Unknown)
		if got := log.String(); !strings.Contains(got, "connection reset") || strings.Contains(got, "secret-key") {
			t.Errorf("got log %s", got)
		}
	})
}
