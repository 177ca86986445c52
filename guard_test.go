package refrain_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

// TestPromise01_AtMostOneLiveClaim storms one key, in real time and from two processes.
func TestPromise01_AtMostOneLiveClaim(t *testing.T) {
	t.Parallel()
	store := newFaulty()
	policy := refrain.Policy{Wait: time.Minute}
	guards := []*refrain.Guard{
		guard(t, store, refrain.Config{Policy: policy}),
		guard(t, store, refrain.Config{Policy: policy}),
	}
	const crowd = 1000
	var executions atomic.Int64
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range crowd {
		all.Go(func() {
			<-start
			got, err := refrain.Do(t.Context(), guards[i%2], operation("storm"), func(context.Context) (int64, error) {
				for store.decided.Load() < 2 { // until the other process has its answer too
					runtime.Gosched()
				}
				return executions.Add(1), nil
			})
			if got != 1 || err != nil {
				t.Errorf("got result %d and error %v, want 1 and none", got, err)
			}
		})
	}
	close(start)
	all.Wait()
	if n := executions.Load(); n != 1 {
		t.Errorf("got %d executions, want 1", n)
	}
	for i, g := range guards {
		if n := g.Running(); n != 0 {
			t.Errorf("guard %d: got %d attempts that own a claim, want 0", i, n)
		}
	}
}

// TestALostClaimEndsTheExecution: an owner that learns that somebody else has a newer claim stops, whatever it has begun.
func TestALostClaimEndsTheExecution(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		policy := refrain.Policy{Lease: time.Second, Unknown: refrain.Rerun}
		g, other := guard(t, store, refrain.Config{Policy: policy}), guard(t, store, refrain.Config{Policy: policy})
		old := begin(t, g, operation("k"), refrain.Run)
		first, end := old.Context(t.Context())
		defer end()
		second, end := old.Context(t.Context())
		defer end()
		store.renewMode.Store(refuses)
		pass(time.Second)
		newest := begin(t, other, operation("k"), refrain.Run)
		alive, end := newest.Context(t.Context())
		defer end()
		if first.Err() != nil || second.Err() != nil {
			t.Errorf("got %v and %v before the owner can know, want it to go on", first.Err(), second.Err())
		}
		store.renewMode.Store(works)
		pass(time.Second) // the old owner learns of it when it renews
		late, end := old.Context(t.Context())
		defer end()
		for i, ctx := range []context.Context{first, second, late} {
			if !errors.Is(ctx.Err(), context.Canceled) {
				t.Errorf("context %d of the old owner: got %v, want it ended", i, ctx.Err())
			}
		}
		if alive.Err() != nil {
			t.Errorf("context of the new owner: got %v, want it to last", alive.Err())
		}
		_ = old.Release(t.Context())
		finish(t, newest, "new")
	})
}

// TestPromise02_OnlyTheNewestTokenEnds lets an owner that was overtaken try to end and to renew its claim.
func TestPromise02_OnlyTheNewestTokenEnds(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		var seen events
		policy := refrain.Policy{Lease: time.Second, Unknown: refrain.Rerun}
		g := guard(t, store, refrain.Config{Policy: policy, Observer: &seen})
		other := guard(t, store, refrain.Config{Policy: policy})

		old := begin(t, g, operation("k"), refrain.Run)
		store.renewMode.Store(refuses)
		pass(time.Second)
		newest := begin(t, other, operation("k"), refrain.Run)
		if newest.Fence() <= old.Fence() {
			t.Errorf("got fence %d after %d, want a greater one", newest.Fence(), old.Fence())
		}
		store.renewMode.Store(works)
		pass(time.Second) // the old owner learns of it when it renews
		if n := seen.count(refrain.EventStale); n != 1 {
			t.Errorf("got %d refused renewals, want 1", n)
		}
		err := old.Finish(t.Context(), refrain.Outcome{Body: []byte("old")})
		if !errors.Is(err, refrain.ErrStale) {
			t.Errorf("Finish of the old owner: got error %v, want %v", err, refrain.ErrStale)
		}
		if n := seen.count(refrain.EventStale); n != 2 {
			t.Errorf("got %d refused calls, want 2", n)
		}
		begin(t, other, operation("k"), refrain.InFlight)
		finish(t, newest, "new")
		replayed(t, g, operation("k"), "new")
		for name, end := range map[string]func() error{
			"Finish":      func() error { return newest.Finish(t.Context(), refrain.Outcome{}) },
			"Release":     func() error { return newest.Release(t.Context()) },
			"MarkUnknown": func() error { return newest.MarkUnknown(t.Context(), nil) },
		} {
			if err := end(); !errors.Is(err, refrain.ErrStale) {
				t.Errorf("%s after Finish: got error %v, want %v", name, err, refrain.ErrStale)
			}
		}
		if err := begin(t, g, operation("k"), refrain.Replay).Release(t.Context()); !errors.Is(err, refrain.ErrStale) {
			t.Errorf("Release of a replay: got error %v, want %v", err, refrain.ErrStale)
		}
	})
}

// TestPromise03_TheOutcomeDoesNotChange asks for an outcome in every way there is, until it expires.
func TestPromise03_TheOutcomeDoesNotChange(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := memstore.New(memstore.Config{})
		g := guard(t, store, refrain.Config{Policy: refrain.Policy{Wait: time.Minute}})
		owner := begin(t, g, operation("k"), refrain.Run)
		want := refrain.Outcome{Status: 402, Meta: []byte("h: 1\x00"), Body: []byte("{\"declined\":true}\xff")}
		var all sync.WaitGroup
		same := func(a *refrain.Attempt) {
			o := a.Record.Outcome
			if o.Status != want.Status || string(o.Meta) != string(want.Meta) || string(o.Body) != string(want.Body) {
				t.Errorf("got the outcome %+v, want %+v", *o, want)
			}
		}
		for range 20 {
			all.Go(func() { same(begin(t, g, operation("k"), refrain.Replay)) })
		}
		synctest.Wait()
		if err := owner.Finish(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		for range 23 {
			pass(time.Hour)
			same(begin(t, g, operation("k"), refrain.Replay))
			same(begin(t, guard(t, store, refrain.Config{}), operation("k"), refrain.Replay))
		}
	})
}

// TestPromise04_AMismatchNeverRuns uses a key with another fingerprint in every state.
func TestPromise04_AMismatchNeverRuns(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := memstore.New(memstore.Config{})
		policy := refrain.Policy{Wait: time.Minute, Retention: time.Hour, Tombstone: time.Hour}
		local := guard(t, store, refrain.Config{Policy: policy})
		remote := guard(t, store, refrain.Config{Policy: policy})
		mine, other := operation("k"), operation("k")
		other.Fingerprint[0] = 1
		mismatch := func(state refrain.State) {
			t.Helper()
			for _, unknown := range []refrain.UnknownPolicy{refrain.Hold, refrain.Rerun} {
				p := policy
				p.Unknown = unknown
				other.Policy = &p
				for _, g := range []*refrain.Guard{local, remote} {
					start := time.Now()
					a := begin(t, g, other, refrain.Mismatch)
					if a.Record.State != state {
						t.Errorf("got a record %v, want %v", a.Record.State, state)
					}
					if took := time.Since(start); took != 0 {
						t.Errorf("the mismatch was told after %v, want at once", took)
					}
				}
			}
		}
		owner := begin(t, local, mine, refrain.Run)
		mismatch(refrain.StateRunning)
		if err := owner.MarkUnknown(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		mismatch(refrain.StateUnknown)
		begin(t, local, mine, refrain.Unknown)

		mine.Key, other.Key = "done", "done"
		finish(t, begin(t, local, mine, refrain.Run), "paid")
		mismatch(refrain.StateDone)
		replayed(t, remote, mine, "paid")
		pass(time.Hour)
		mismatch(refrain.StateExpired)
	})
}

// TestPromise05_NothingIsShownBeforeItIsDurable holds the store back while it takes the outcome.
func TestPromise05_NothingIsShownBeforeItIsDurable(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := &slow{Store: memstore.New(memstore.Config{}), claim: make(chan struct{}), settle: make(chan struct{})}
		g := guard(t, store, refrain.Config{Policy: refrain.Policy{Wait: time.Minute}, StoreTimeout: time.Minute})

		var runs, replays atomic.Int64
		var all sync.WaitGroup
		owner := make(chan *refrain.Attempt, 1)
		for range 10 {
			all.Go(func() {
				a, err := g.Begin(t.Context(), operation("k"))
				switch {
				case err != nil:
					t.Errorf("Begin: %v", err)
				case a.Verdict == refrain.Run:
					runs.Add(1)
					owner <- a
				case a.Verdict == refrain.Replay:
					replays.Add(1)
				}
			})
		}
		synctest.Wait()
		if runs.Load() != 0 {
			t.Error("an attempt ran before its claim was durable")
		}
		close(store.claim)
		a := <-owner
		var finished atomic.Bool
		all.Go(func() {
			finish(t, a, "paid")
			finished.Store(true)
		})
		synctest.Wait()
		if finished.Load() || replays.Load() != 0 {
			t.Error("the outcome was shown before it was durable")
		}
		close(store.settle)
		all.Wait()
		if runs.Load() != 1 || replays.Load() != 9 {
			t.Errorf("got %d runs and %d replays, want 1 and 9", runs.Load(), replays.Load())
		}
	})
}

// slow is a store whose writes take until the test lets them through.
type slow struct {
	refrain.Store
	claim, settle chan struct{}
}

func (s *slow) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	<-s.claim
	return s.Store.Claim(ctx, c)
}

func (s *slow) Settle(ctx context.Context, e refrain.Settlement) (refrain.Record, error) {
	<-s.settle
	return s.Store.Settle(ctx, e)
}

// TestPromise06_AnUnknownOutcomeIsNotRunAgain lets owners die, and attempts end undecided.
func TestPromise06_AnUnknownOutcomeIsNotRunAgain(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		g := guard(t, store, refrain.Config{Policy: refrain.Policy{Wait: 5 * time.Second}})
		dead := guard(t, store, refrain.Config{})

		died := begin(t, dead, operation("died"), refrain.Run)
		store.renewMode.Store(refuses)
		undecided := begin(t, g, operation("undecided"), refrain.Run)
		answer := &refrain.Outcome{Status: 502}
		if err := undecided.MarkUnknown(t.Context(), answer); err != nil {
			t.Fatal(err)
		}
		begin(t, g, operation("died"), refrain.InFlight)
		pass(30 * time.Second)
		for range 100 {
			begin(t, g, operation("died"), refrain.Unknown)
			if a := begin(t, g, operation("undecided"), refrain.Unknown); a.Record.Outcome.Status != 502 {
				t.Errorf("got the answer %+v, want %+v", a.Record.Outcome, answer)
			}
			pass(24 * time.Hour)
		}
		finish(t, died, "late") // the newest token is always welcome
		replayed(t, g, operation("died"), "late")
	})
}

// TestPromise07_NoScopeSeesAnother uses one key in scopes that differ by as little as possible.
func TestPromise07_NoScopeSeesAnother(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, memstore.New(memstore.Config{}), refrain.Config{})
		parts := []string{"", "a", "b", "ab", "a\x00", "\x00a", "a|b", "A", "a ", "\x01a", "aa"}
		seen := make(map[refrain.ID]string)
		for _, principal := range parts {
			for _, route := range parts {
				for _, key := range parts[1:] {
					op := refrain.Operation{Scope: refrain.Scope{Principal: principal, Route: route}, Key: key}
					name := fmt.Sprintf("%q %q %q", principal, route, key)
					a := begin(t, g, op, refrain.Run)
					if former, ok := seen[a.ID()]; ok {
						t.Fatalf("%s and %s are one operation", name, former)
					}
					seen[a.ID()] = name
					finish(t, a, name)
				}
			}
		}
		for _, key := range parts[1:] {
			op := refrain.Operation{Key: key}
			replayed(t, g, op, fmt.Sprintf("%q %q %q", "", "", key))
		}
	})
}

// TestSecretsDoNotMeet keys two guards differently: neither knows the other's operations.
func TestSecretsDoNotMeet(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := memstore.New(memstore.Config{})
		a := begin(t, guard(t, store, refrain.Config{Secret: []byte("one")}), operation("k"), refrain.Run)
		b := begin(t, guard(t, store, refrain.Config{Secret: []byte("two")}), operation("k"), refrain.Run)
		if a.ID() == b.ID() || a.Record.Fingerprint == b.Record.Fingerprint {
			t.Error("the secret is in neither the ID nor the fingerprint")
		}
		finish(t, a, "a")
		finish(t, b, "b")
	})
}

// TestPromise08_NothingIsForgottenEarly steps over both ends of an outcome's life.
func TestPromise08_NothingIsForgottenEarly(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, memstore.New(memstore.Config{}), refrain.Config{
			Policy: refrain.Policy{Retention: time.Hour, Tombstone: 3 * time.Hour},
		})
		first := begin(t, g, operation("k"), refrain.Run)
		finish(t, first, "paid")
		pass(time.Hour - 1)
		replayed(t, g, operation("k"), "paid")
		pass(1)
		if a := begin(t, g, operation("k"), refrain.Expired); a.Record.Outcome != nil {
			t.Error("the outcome is still there after its retention")
		}
		pass(3*time.Hour - 1)
		begin(t, g, operation("k"), refrain.Expired)
		pass(1)
		again := begin(t, g, operation("k"), refrain.Run)
		if again.Fence() <= first.Fence() {
			t.Errorf("got fence %d after %d, want a greater one", again.Fence(), first.Fence())
		}
		finish(t, again, "paid again")
	})
}

// TestPromise09_ALeavingClientDoesNotStopTheOperation lets callers leave at every stage.
func TestPromise09_ALeavingClientDoesNotStopTheOperation(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, memstore.New(memstore.Config{}), refrain.Config{Policy: refrain.Policy{Wait: time.Minute}})
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan error, 1)
		ended := errors.New("not ended")
		go func() {
			_, err := refrain.Do(ctx, g, operation("k"), func(ctx context.Context) (string, error) {
				pass(10 * time.Second)
				ended = ctx.Err()
				return "paid", nil
			})
			done <- err
		}()
		pass(time.Second)
		leave()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the caller that left: got error %v, want %v", err, context.Canceled)
		}
		got, err := refrain.Do(t.Context(), g, operation("k"), func(context.Context) (string, error) {
			t.Error("the retry ran")
			return "", nil
		})
		if got != "paid" || err != nil {
			t.Errorf("the retry: got %q and error %v, want %q", got, err, "paid")
		}
		if ended != nil {
			t.Errorf("the operation's context ended with its caller: %v", ended)
		}

		gone, leave := context.WithCancel(t.Context())
		leave()
		a, err := g.Begin(gone, operation("gone"))
		if err != nil || a.Verdict != refrain.Run {
			t.Fatalf("Begin of a caller that left: got %v and error %v, want a claim", a, err)
		}
		execution, cancel := a.Context(gone)
		defer cancel()
		if execution.Err() != nil || refrain.FromContext(execution) != a {
			t.Error("the execution's context ended with the caller, or does not know its attempt")
		}
		if err := a.Finish(gone, refrain.Outcome{Body: []byte("paid")}); err != nil {
			t.Errorf("Finish with the context of a caller that left: %v", err)
		}
		replayed(t, g, operation("gone"), "paid")
	})
}

// TestRenewalKeepsALongExecutionAlive works for many leases.
func TestRenewalKeepsALongExecutionAlive(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		policy := refrain.Policy{Lease: time.Second, Timeout: time.Hour}
		g := guard(t, store, refrain.Config{Policy: policy})
		other := guard(t, store, refrain.Config{Policy: policy})
		owner := begin(t, g, operation("long"), refrain.Run)
		for range 15 * 60 {
			pass(time.Second)
			begin(t, other, operation("long"), refrain.InFlight)
		}
		store.renewMode.Store(refuses) // two of three renewals may fail
		pass(700 * time.Millisecond)
		store.renewMode.Store(works)
		pass(time.Second)
		begin(t, other, operation("long"), refrain.InFlight)
		finish(t, owner, "paid")
		replayed(t, other, operation("long"), "paid")
		renewals := store.renews.Load()
		pass(time.Hour)
		if n := store.renews.Load(); n != renewals {
			t.Errorf("got %d renewals after the end, want none", n-renewals)
		}
	})
}

// TestAnExecutionBeyondItsTimeoutIsUnknown stops protecting it, and welcomes its outcome all the same.
func TestAnExecutionBeyondItsTimeoutIsUnknown(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := memstore.New(memstore.Config{})
		policy := refrain.Policy{Lease: time.Second, Timeout: 10 * time.Second, Wait: time.Hour}
		g := guard(t, store, refrain.Config{Policy: policy})
		other := guard(t, store, refrain.Config{Policy: policy})
		owner := begin(t, g, operation("k"), refrain.Run)
		execution, cancel := owner.Context(t.Context())
		defer cancel()
		start := time.Now()
		var all sync.WaitGroup
		for _, g := range []*refrain.Guard{g, g, other} {
			all.Go(func() { begin(t, g, operation("k"), refrain.Unknown) })
		}
		all.Wait()
		if waited := time.Since(start); waited < policy.Timeout || waited > policy.Timeout+2*policy.Lease {
			t.Errorf("waiters were told after %v, want it soon after %v", waited, policy.Timeout)
		}
		if !errors.Is(execution.Err(), context.DeadlineExceeded) {
			t.Errorf("the execution's context: got %v, want %v", execution.Err(), context.DeadlineExceeded)
		}
		begin(t, g, operation("k"), refrain.Unknown)
		finish(t, owner, "late")
		replayed(t, g, operation("k"), "late")
	})
}

// TestBadInputIsRefused names what is wrong, before the store is asked.
func TestBadInputIsRefused(t *testing.T) {
	t.Parallel()
	store := newFaulty()
	g := guard(t, store, refrain.Config{})
	bad := operation("k")
	bad.Policy = &refrain.Policy{Lease: time.Millisecond}
	for _, test := range []struct {
		op   refrain.Operation
		want string
	}{
		{operation(""), "it is empty"},
		{operation(strings.Repeat("k", 1025)), "it has 1025 bytes, at most 1024 are allowed"},
		{bad, "lease is 1ms; less than 100ms leaves no time to renew it"},
	} {
		_, err := g.Begin(t.Context(), test.op)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got error %v, want one with %q", err, test.want)
		}
		if key := test.op.Policy == nil; errors.Is(err, refrain.ErrInvalidKey) != key {
			t.Errorf("got error %v, want an ErrInvalidKey: %v", err, key)
		}
	}
	if n := store.claims.Load(); n != 0 {
		t.Errorf("got %d claims, want none", n)
	}
	for _, p := range []refrain.Policy{{Wait: -1}, {Lease: -1}, {Timeout: -1}, {Retention: -1}, {Lease: 99 * time.Millisecond}} {
		if _, err := refrain.New(store, refrain.Config{Policy: p}); err == nil {
			t.Errorf("New with the policy %+v: got no error", p)
		}
	}
}

// TestTheFirstRetryIsRecalled finishes an operation: its retries are answered from memory, by the store's clock, and only
// they.
func TestTheFirstRetryIsRecalled(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		g := guard(t, store, refrain.Config{Policy: refrain.Policy{Retention: time.Minute}})
		finish(t, begin(t, g, operation("k"), refrain.Run), "paid")
		released := begin(t, g, operation("released"), refrain.Run)
		if err := released.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		store.fail(refuses)
		pass(time.Minute - 1)
		a := replayed(t, g, operation("k"), "paid")
		if left := a.Record.Retain.Sub(a.Now); left != 1 {
			t.Errorf("got %s left of the retention, want 1ns", left)
		}
		if _, ok := g.Recall(operation("k")); !ok || !g.MayRecall("k") {
			t.Error("the finished operation is not recalled")
		}
		if _, ok := g.Recall(operation("released")); ok || g.MayRecall("released") {
			t.Error("a released operation is recalled")
		}
		pass(1)
		if _, ok := g.Recall(operation("k")); ok {
			t.Error("an outcome is recalled after its retention")
		}
	})
}

// TestPeekedOutcomes asks a store in memory once for a replay, and as often as it takes for the rest.
func TestPeekedOutcomes(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := memstore.New(memstore.Config{})
		g := guard(t, store, refrain.Config{Policy: refrain.Policy{Retention: time.Minute}})
		owner := begin(t, g, operation("k"), refrain.Run)
		if _, ok := g.Recall(operation("k")); ok {
			t.Error("a running operation is recalled")
		}
		finish(t, owner, "paid")
		if a, ok := g.Recall(operation("k")); !ok || a.Verdict != refrain.Replay || string(a.Record.Outcome.Body) != "paid" {
			t.Errorf("got %+v, %t, want a replay", a, ok)
		}
		other := operation("k")
		other.Fingerprint[0]++
		if a, ok := g.Recall(other); !ok || a.Verdict != refrain.Mismatch {
			t.Errorf("got %+v, %t, want a mismatch", a, ok)
		}
		pass(time.Minute)
		if _, ok := g.Recall(operation("k")); ok {
			t.Error("an outcome is recalled after its retention")
		}
		begin(t, g, operation("k"), refrain.Expired)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if a, err := g.Begin(t.Context(), operation("k")); !errors.Is(err, refrain.ErrClosed) {
			t.Errorf("a closed store: got %+v and error %v, want %v", a, err, refrain.ErrClosed)
		}
	})
}
