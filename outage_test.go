package refrain_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

// TestPromise12_AStoreOutageIsAClearError breaks the store in every way before anything is claimed.
func TestPromise12_AStoreOutageIsAClearError(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]int32{"refuses": refuses, "hangs": hangs, "loses the reply": losesReply} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				store := newFaulty()
				g := guard(t, store, refrain.Config{StoreTimeout: 2 * time.Second, Policy: refrain.Policy{Wait: time.Minute}})
				store.fail(mode)
				start := time.Now()
				var all sync.WaitGroup
				for range 100 {
					all.Go(func() {
						_, err := refrain.Do(t.Context(), g, operation("k"), func(context.Context) (int, error) {
							t.Error("it ran without protection")
							return 0, nil
						})
						if !errors.Is(err, refrain.ErrUnavailable) {
							t.Errorf("got error %v, want %v", err, refrain.ErrUnavailable)
						}
						if took := time.Since(start); took > 2*time.Second {
							t.Errorf("got the error after %v, want it within the store's timeout", took)
						}
					})
				}
				all.Wait()
				pass(time.Hour) // a long outage
				store.fail(works)
				pass(5 * time.Second) // until the claim is given back
				finish(t, begin(t, g, operation("k"), refrain.Run), "paid")
				if n := g.Unrecorded(); n != 0 {
					t.Errorf("got %d unrecorded outcomes, want 0", n)
				}
			})
		})
	}
}

// TestPromise12_NonsenseIsAClearError lets the store answer what no store may.
func TestPromise12_NonsenseIsAClearError(t *testing.T) {
	t.Parallel()
	now := time.Now()
	token := refrain.NewToken()
	record := func(s refrain.State) refrain.Record { return refrain.Record{State: s, Token: token, Fence: 1} }
	for name, d := range map[string]refrain.Decision{
		"nothing":                     {},
		"no verdict":                  {Record: record(refrain.StateRunning), Now: now},
		"a verdict there is not":      {Verdict: 99, Record: record(refrain.StateRunning), Now: now},
		"a state there is not":        {Verdict: refrain.Unknown, Record: record(99), Now: now},
		"run without a record":        {Verdict: refrain.Run, Now: now},
		"run with another's token":    {Verdict: refrain.Run, Record: record(refrain.StateRunning), Now: now},
		"replay without an outcome":   {Verdict: refrain.Replay, Record: record(refrain.StateDone), Now: now},
		"replay of a running one":     {Verdict: refrain.Replay, Record: record(refrain.StateRunning), Now: now},
		"in flight without a record":  {Verdict: refrain.InFlight, Now: now},
		"expired while it is unknown": {Verdict: refrain.Expired, Record: record(refrain.StateUnknown), Now: now},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				d.Record.Fingerprint = fingerprintOf(t, operation("k"))
				g := guard(t, mad{Store: memstore.New(memstore.Config{}), answer: d}, refrain.Config{})
				a, err := g.Begin(t.Context(), operation("k"))
				if !errors.Is(err, refrain.ErrUnavailable) || !strings.Contains(err.Error(), "makes no sense") {
					t.Errorf("got %+v and error %v, want an ErrUnavailable about the answer", a, err)
				}
			})
		})
	}
}

// fingerprintOf returns how the store knows the operation's fingerprint.
func fingerprintOf(t *testing.T, op refrain.Operation) refrain.Fingerprint {
	t.Helper()
	a := begin(t, guard(t, memstore.New(memstore.Config{}), refrain.Config{}), op, refrain.Run)
	defer finish(t, a, "")
	return a.Record.Fingerprint
}

// mad is a store that always decides the same.
type mad struct {
	refrain.Store
	answer refrain.Decision
}

func (m mad) Claim(context.Context, refrain.Claim) (refrain.Decision, error) { return m.answer, nil }

// TestPromise12_FailOpenRunsMarked runs unprotected when the policy says so, and then the function can tell.
func TestPromise12_FailOpenRunsMarked(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		var log strings.Builder
		g := guard(t, store, refrain.Config{
			Policy: refrain.Policy{StoreDown: refrain.FailOpen}, Logger: textLogger(&log),
		})
		run := func() error {
			_, err := refrain.Do(t.Context(), g, operation("k"), func(ctx context.Context) (bool, error) {
				if a := refrain.FromContext(ctx); a != nil {
					t.Errorf("got the attempt %+v, want none", a)
				}
				return true, nil
			})
			return err
		}
		store.fail(hangs)
		if err := run(); err != nil {
			t.Errorf("got error %v while the store is down, want none", err)
		}
		if !strings.Contains(log.String(), "unprotected") {
			t.Errorf("got the log %q, want a line about the unprotected run", log.String())
		}
		if err := g.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := run(); !errors.Is(err, refrain.ErrClosed) {
			t.Errorf("got error %v from a closed guard, want %v", err, refrain.ErrClosed)
		}
	})
}

// TestALostClaimIsGivenBack loses the reply to a claim that was made: nothing ran, so the next attempt may.
func TestALostClaimIsGivenBack(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		g := guard(t, store, refrain.Config{})
		store.claimMode.Store(losesReply)
		if _, err := g.Begin(t.Context(), operation("k")); !errors.Is(err, refrain.ErrUnavailable) {
			t.Fatalf("got error %v, want %v", err, refrain.ErrUnavailable)
		}
		store.claimMode.Store(works)
		synctest.Wait()
		finish(t, begin(t, g, operation("k"), refrain.Run), "paid")
		replayed(t, g, operation("k"), "paid")
	})
}

// A tardy store makes a claim when its caller has left, and the claim was given back in vain.
type tardy struct {
	refrain.Store
	late atomic.Bool
}

func (s *tardy) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	if !s.late.Load() {
		return s.Store.Claim(ctx, c)
	}
	time.AfterFunc(4*time.Second, func() { _, _ = s.Store.Claim(context.Background(), c) })
	<-ctx.Done()
	return refrain.Decision{}, ctx.Err()
}

// TestAClaimThatComesLateIsGivenBack has a claim reach the store after it was given back: nobody ran, so a retry may.
func TestAClaimThatComesLateIsGivenBack(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := &tardy{Store: memstore.New(memstore.Config{})}
		g := guard(t, store, refrain.Config{})
		store.late.Store(true)
		if _, err := g.Begin(t.Context(), operation("k")); !errors.Is(err, refrain.ErrUnavailable) {
			t.Fatalf("Begin: got error %v, want %v", err, refrain.ErrUnavailable)
		}
		store.late.Store(false)
		pass(4 * time.Second)
		begin(t, g, operation("k"), refrain.InFlight)
		pass(4 * time.Second)
		finish(t, begin(t, g, operation("k"), refrain.Run), "paid")
	})
}

// TestALateGiveBackHarmsNobody gives a lost claim back after another attempt has run.
func TestALateGiveBackHarmsNobody(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		policy := refrain.Policy{Lease: time.Second, Unknown: refrain.Rerun}
		g := guard(t, store, refrain.Config{Policy: policy})
		store.fail(losesReply)
		store.settleMode.Store(refuses)
		_, _ = g.Begin(t.Context(), operation("k"))
		store.claimMode.Store(works)
		pass(time.Second)
		owner := begin(t, g, operation("k"), refrain.Run)
		store.fail(works)
		pass(2500 * time.Millisecond) // the old claim is given back now
		begin(t, guard(t, store, refrain.Config{}), operation("k"), refrain.InFlight)
		finish(t, owner, "paid")
		replayed(t, g, operation("k"), "paid")
	})
}

// TestPromise05_AFailedFinishNeverReleases loses outcomes on their way to the store, without a journal.
func TestPromise05_AFailedFinishNeverReleases(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]int32{"refuses": refuses, "hangs": hangs, "loses the reply": losesReply} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				store := newFaulty()
				var seen events
				g := guard(t, store, refrain.Config{Policy: refrain.Policy{Wait: time.Minute}, Observer: &seen})
				owner := begin(t, g, operation("k"), refrain.Run)
				store.settleMode.Store(mode)
				var all sync.WaitGroup
				for range 10 {
					all.Go(func() { begin(t, g, operation("k"), refrain.Unknown) })
				}
				synctest.Wait()
				err := owner.Finish(t.Context(), refrain.Outcome{Body: []byte("paid")})
				if !errors.Is(err, refrain.ErrUnrecorded) {
					t.Errorf("got error %v, want %v", err, refrain.ErrUnrecorded)
				}
				all.Wait()
				for range 10 {
					begin(t, g, operation("k"), refrain.Unknown)
					pass(time.Minute)
				}
				if n := g.Unrecorded(); n != 1 {
					t.Errorf("got %d unrecorded outcomes, want 1", n)
				}
				store.fail(works)
				pass(5 * time.Second)
				replayed(t, g, operation("k"), "paid")
				if n := g.Unrecorded(); n != 0 || seen.count(refrain.EventRecovered) != 1 || seen.count(refrain.EventUnrecorded) != 1 {
					t.Errorf("got %d unrecorded outcomes and events %+v, want 0 and one of each kind", n, seen.seen)
				}
			})
		})
	}
}

// TestPromise05_TheJournalKeepsTheOutcome has a journal: duplicates hear the outcome, also after a restart.
func TestPromise05_TheJournalKeepsTheOutcome(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		var journal memoryJournal
		cfg := refrain.Config{Policy: refrain.Policy{Wait: time.Minute}, Journal: &journal}
		first := guard(t, store, cfg)
		owner := begin(t, first, operation("k"), refrain.Run)
		undecided := begin(t, first, operation("undecided"), refrain.Run)
		store.fail(refuses)
		unrecorded := func(g *refrain.Guard) {
			if !replayed(t, g, operation("k"), "paid").Unrecorded {
				t.Error("the replay is not marked as unrecorded")
			}
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { unrecorded(first) })
		}
		synctest.Wait()
		if err := owner.Finish(t.Context(), refrain.Outcome{Body: []byte("paid")}); !errors.Is(err, refrain.ErrUnrecorded) {
			t.Errorf("got error %v, want %v", err, refrain.ErrUnrecorded)
		}
		if err := undecided.MarkUnknown(t.Context(), nil); !errors.Is(err, refrain.ErrUnrecorded) {
			t.Errorf("got error %v, want %v", err, refrain.ErrUnrecorded)
		}
		all.Wait()
		unrecorded(first)
		if err := first.Close(t.Context()); err != nil {
			t.Errorf("Close: got error %v, want none: the journal has it all", err)
		}

		second := guard(t, store, cfg)
		unrecorded(second)
		begin(t, second, operation("undecided"), refrain.Unknown)
		other := operation("k")
		other.Fingerprint[0] = 1
		begin(t, second, other, refrain.Mismatch)
		store.fail(works)
		pass(5 * time.Second)
		if journal.len() != 0 || second.Unrecorded() != 0 {
			t.Errorf("got %d entries in the journal and %d unrecorded, want none", journal.len(), second.Unrecorded())
		}
		if replayed(t, second, operation("k"), "paid").Unrecorded {
			t.Error("the replay is still marked as unrecorded")
		}
		replayed(t, guard(t, store, refrain.Config{}), operation("k"), "paid")
		begin(t, guard(t, store, refrain.Config{}), operation("undecided"), refrain.Unknown)
	})
}

// TestABrokenJournalShowsNothing fails to write the journal too: what a crash could take back is not shown.
func TestABrokenJournalShowsNothing(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		journal := memoryJournal{}
		g := guard(t, store, refrain.Config{Journal: &journal})
		owner := begin(t, g, operation("k"), refrain.Run)
		store.fail(refuses)
		journal.fail(errors.New("disk full"))
		if err := owner.Finish(t.Context(), refrain.Outcome{}); !errors.Is(err, refrain.ErrUnrecorded) {
			t.Errorf("got error %v, want %v", err, refrain.ErrUnrecorded)
		}
		if a := begin(t, g, operation("k"), refrain.Unknown); a.Record.Outcome != nil {
			t.Errorf("got the outcome %+v, want none", a.Record.Outcome)
		}
		if err := g.Close(t.Context()); !errors.Is(err, refrain.ErrUnrecorded) {
			t.Errorf("Close: got error %v, want %v", err, refrain.ErrUnrecorded)
		}
		if _, err := refrain.New(store, refrain.Config{Journal: &journal}); err == nil {
			t.Error("New with a journal that cannot be read: got no error")
		}
	})
}

// TestOneBadEndingDoesNotHoldUpTheOthers has an outcome that the store never takes.
func TestOneBadEndingDoesNotHoldUpTheOthers(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := &picky{faulty: newFaulty()}
		g := guard(t, store, refrain.Config{})
		keys := []string{"a", "b", "bad", "c", "d"}
		var owners []*refrain.Attempt
		for _, k := range keys {
			owners = append(owners, begin(t, g, operation(k), refrain.Run))
		}
		store.fail(refuses)
		for i, o := range owners {
			_ = o.Finish(t.Context(), refrain.Outcome{Body: []byte(keys[i])})
		}
		store.fail(works)
		pass(10 * time.Second)
		for _, k := range keys {
			if k != "bad" {
				replayed(t, g, operation(k), k)
			}
		}
		begin(t, g, operation("bad"), refrain.Unknown)
		if n := g.Unrecorded(); n != 1 {
			t.Errorf("got %d unrecorded outcomes, want 1", n)
		}
		if err := g.Close(t.Context()); !errors.Is(err, refrain.ErrUnrecorded) {
			t.Errorf("Close: got error %v, want %v", err, refrain.ErrUnrecorded)
		}
	})
}

// picky refuses one outcome.
type picky struct{ *faulty }

func (p *picky) Settle(ctx context.Context, s refrain.Settlement) (refrain.Record, error) {
	if s.Outcome != nil && string(s.Outcome.Body) == "bad" {
		return refrain.Record{}, errors.New("too large")
	}
	return p.faulty.Settle(ctx, s)
}

// TestAPanickingStoreLeavesNobodyWaiting has duplicates that follow the attempt whose store call panics.
func TestAPanickingStoreLeavesNobodyWaiting(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := &panicking{Store: memstore.New(memstore.Config{}), release: make(chan struct{})}
		store.armed.Store(true)
		g := guard(t, store, refrain.Config{})
		var all sync.WaitGroup
		var refused atomic.Int64
		for range 10 {
			all.Go(func() {
				defer func() {
					if recover() != nil {
						refused.Add(1)
					}
				}()
				if _, err := g.Begin(t.Context(), operation("k")); errors.Is(err, refrain.ErrUnavailable) {
					refused.Add(1)
				}
			})
		}
		synctest.Wait()
		close(store.release)
		all.Wait()
		if n := refused.Load(); n != 10 {
			t.Errorf("got %d attempts without an answer, want all 10", n)
		}
		finish(t, begin(t, g, operation("k"), refrain.Run), "paid")
	})
}

type panicking struct {
	refrain.Store
	armed   atomic.Bool
	release chan struct{}
}

func (p *panicking) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	if p.armed.CompareAndSwap(true, false) {
		<-p.release
		panic("a bug in the store")
	}
	return p.Store.Claim(ctx, c)
}

// TestPromise11_ClocksDecideLivenessOnly gives the store a clock far from the process's.
func TestPromise11_ClocksDecideLivenessOnly(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-24 * 365 * time.Hour, -time.Hour, time.Hour, 24 * 365 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				store := &skewed{off: off, records: make(map[refrain.ID]refrain.Record)}
				cfg := refrain.Config{
					Policy: refrain.Policy{Retention: time.Minute, Tombstone: time.Minute, Lease: time.Second},
					Recall: -1, // every answer is the store's
				}
				one, two := guard(t, store, cfg), guard(t, store, cfg)
				owner := begin(t, one, operation("k"), refrain.Run)
				for range 30 {
					pass(time.Second)
					begin(t, two, operation("k"), refrain.InFlight)
				}
				if left := owner.Record.Lease.Sub(owner.Now); left != time.Second {
					t.Errorf("got %v left of the lease, want 1s", left)
				}
				finish(t, owner, "paid")
				pass(time.Minute - 1)
				replayed(t, two, operation("k"), "paid")
				pass(1)
				begin(t, two, operation("k"), refrain.Expired)
				pass(time.Minute)
				store.jump(-time.Hour) // a step of the store's clock may keep it longer and loses nothing
				begin(t, two, operation("k"), refrain.Replay)
				store.jump(time.Hour)
				finish(t, begin(t, two, operation("k"), refrain.Run), "again")
			})
		})
	}
}

// skewed is a store whose clock is wrong.
type skewed struct {
	mu      sync.Mutex
	off     time.Duration
	fence   uint64
	records map[refrain.ID]refrain.Record
}

func (s *skewed) now() time.Time { return time.Now().Add(s.off) }

func (s *skewed) jump(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off += d
}

func (s *skewed) Claim(_ context.Context, c refrain.Claim) (refrain.Decision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fence++
	d, written := c.Apply(s.records[c.ID], s.now(), s.fence)
	if written {
		s.records[c.ID] = d.Record
	}
	return d, nil
}

func (s *skewed) Settle(_ context.Context, e refrain.Settlement) (refrain.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, written, err := e.Apply(s.records[e.ID], s.now())
	if written {
		s.records[e.ID] = next
	}
	return next, err
}

func (s *skewed) Renew(_ context.Context, r refrain.Renewal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := r.Apply(s.records[r.ID], s.now())
	if err == nil {
		s.records[r.ID] = next
	}
	return err
}

func (s *skewed) Get(_ context.Context, id refrain.ID) (refrain.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[id].At(s.now()), nil
}

func (s *skewed) Close() error { return nil }
