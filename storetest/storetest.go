// Package storetest is the conformance suite of refrain.Store: tests that every store passes, benchmarks that every store
// shares, and a recorder of concurrent histories for a linearizability checker.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) refrain.Store { return mystore.Open(t.TempDir()) })
//	}
//
// The suite names operations at random and leaves nothing to clean up, so that it also runs against a shared database. It
// waits for leases and retentions to end and never asserts that one has not ended yet, so that a slow machine cannot make it
// fail.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// A Reopener is a store that outlives Close. The tests of a durable store wrap it in one, so that the suite can restart it:
// the suite closes the store and then calls Reopen, which opens what Close left behind.
type Reopener interface {
	Reopen(t *testing.T) refrain.Store
}

// Run tests that the stores that open returns keep the contract of refrain.Store. It calls open once for each group of tests
// and closes what it got.
func Run(t *testing.T, open func(t *testing.T) refrain.Store) {
	groups := []struct {
		name  string
		cases []testCase
	}{
		{"Contract", contractCases},
		{"Token", tokenCases},
		{"Lease", leaseCases},
		{"Instead", insteadCases},
		{"Expiry", expiryCases},
		{"Bytes", bytesCases},
		{"Cancel", cancelCases},
		{"Race", raceCases},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			s := opened(t, open)
			for _, c := range g.cases {
				t.Run(c.name, func(t *testing.T) { c.run(newSubject(t, s)) })
			}
		})
	}
	t.Run("Close", func(t *testing.T) {
		t.Parallel()
		testClose(t, open)
	})
	t.Run("List", func(t *testing.T) {
		t.Parallel()
		testList(t, open)
	})
	t.Run("Mark", func(t *testing.T) {
		t.Parallel()
		testMark(t, open)
	})
	t.Run("Restart", func(t *testing.T) {
		t.Parallel()
		testRestart(t, open)
	})
}

// A testCase is a named test of one operation.
type testCase struct {
	name string
	run  func(x *subject)
}

// opened returns a store that is closed at the end of the test.
func opened(t *testing.T, open func(t *testing.T) refrain.Store) refrain.Store {
	t.Helper()
	s := open(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, refrain.ErrClosed) {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// The durations of the suite. Whatever is long outlasts every test; whatever is short is waited for.
const (
	long  = time.Hour
	short = 20 * time.Millisecond
	// patience bounds what only a broken store makes the suite wait for.
	patience = 30 * time.Second
)

// A subject is an operation under test. Its methods fail the test when the store's answer is not the one wanted.
type subject struct {
	t  *testing.T
	s  refrain.Store
	id refrain.ID
	fp refrain.Fingerprint
}

func newSubject(t *testing.T, s refrain.Store) *subject {
	x := &subject{t: t, s: s, id: randomID()}
	_, _ = rand.Read(x.fp[:])
	return x
}

func randomID() (id refrain.ID) {
	_, _ = rand.Read(id[:])
	return id
}

// other returns another operation of the same store.
func (x *subject) other() *subject { return newSubject(x.t, x.s) }

func (x *subject) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	x.t.Cleanup(cancel)
	return ctx
}

// request returns a claim of a new attempt, with a lease that outlasts the test.
func (x *subject) request() refrain.Claim {
	return refrain.Claim{ID: x.id, Token: refrain.NewToken(), Fingerprint: x.fp, Lease: long}
}

// claim asks for the operation and wants the verdict.
func (x *subject) claim(c refrain.Claim, want refrain.Verdict) refrain.Decision {
	x.t.Helper()
	d, err := x.s.Claim(x.ctx(), c)
	if err != nil {
		x.t.Fatalf("Claim: %v", err)
	}
	if d.Verdict != want {
		x.t.Fatalf("Claim: got verdict %v on %s, want %v", d.Verdict, describe(d.Record), want)
	}
	x.checkDecision(c, d)
	return d
}

// checkDecision checks what every decision must keep, whatever the verdict.
func (x *subject) checkDecision(c refrain.Claim, d refrain.Decision) {
	x.t.Helper()
	r := d.Record
	if d.Now.IsZero() {
		x.t.Errorf("Claim: got no time of the decision")
	}
	if d.Verdict == refrain.Run {
		if r.State != refrain.StateRunning || r.Token != c.Token || r.Fingerprint != c.Fingerprint || r.Outcome != nil {
			x.t.Errorf("Claim: got %s, want it running with the claim's token and fingerprint", describe(r))
		}
		if r.Fence == 0 || r.Created.IsZero() || r.Created.After(d.Now) {
			x.t.Errorf("Claim: got fence %d, created %v at %v", r.Fence, r.Created, d.Now)
		}
		return
	}
	if got := r.Judge(c.Fingerprint); r.State == refrain.StateAbsent || got != d.Verdict {
		x.t.Errorf("Claim: got verdict %v with %s, whose verdict is %v", d.Verdict, describe(r), got)
	}
}

// run claims the operation with a new token.
func (x *subject) run() refrain.Decision {
	x.t.Helper()
	return x.claim(x.request(), refrain.Run)
}

// running claims the operation and returns the token.
func (x *subject) running() refrain.Token {
	x.t.Helper()
	return x.run().Record.Token
}

// lapsed claims the operation and waits for the lease to lapse.
func (x *subject) lapsed() refrain.Decision {
	x.t.Helper()
	c := x.request()
	c.Lease = short
	d := x.claim(c, refrain.Run)
	x.await(refrain.StateUnknown)
	return d
}

// done claims and finishes the operation, and returns the token.
func (x *subject) done(body string) refrain.Token {
	x.t.Helper()
	token := x.running()
	x.settle(finish(token, body), nil)
	return token
}

// settle ends the claim and wants the error, and returns the record after it.
func (x *subject) settle(s refrain.Settlement, want error) refrain.Record {
	x.t.Helper()
	s.ID = x.id
	r, err := x.s.Settle(x.ctx(), s)
	if !errors.Is(err, want) {
		x.t.Fatalf("Settle %v: got error %v, want %v", s.Ending, err, want)
	}
	if err == nil {
		if want := endState(s.Ending); r.State != want && r.State != refrain.StateExpired {
			x.t.Fatalf("Settle %v: got %s, want it %v", s.Ending, describe(r), want)
		}
	}
	return r
}

// renew extends the claim by the long lease and wants the error.
func (x *subject) renew(token refrain.Token, want error) {
	x.t.Helper()
	err := x.s.Renew(x.ctx(), refrain.Renewal{ID: x.id, Token: token, Lease: long})
	if !errors.Is(err, want) {
		x.t.Fatalf("Renew: got error %v, want %v", err, want)
	}
}

// get wants the record to be in the state, and returns it.
func (x *subject) get(want refrain.State) refrain.Record {
	x.t.Helper()
	r, err := x.s.Get(x.ctx(), x.id)
	if err != nil {
		x.t.Fatalf("Get: %v", err)
	}
	if r.State != want {
		x.t.Fatalf("Get: got %s, want it %v", describe(r), want)
	}
	return r
}

// await waits until the record is in the state.
func (x *subject) await(want refrain.State) {
	x.t.Helper()
	eventually(x.t, "the operation to become "+want.String(), func() bool {
		r, err := x.s.Get(x.ctx(), x.id)
		if err != nil {
			x.t.Fatalf("Get: %v", err)
		}
		return r.State == want
	})
}

// unchanged runs f and checks that the record is the same after it.
func (x *subject) unchanged(f func()) {
	x.t.Helper()
	before, err := x.s.Get(x.ctx(), x.id)
	if err != nil {
		x.t.Fatalf("Get: %v", err)
	}
	f()
	after, err := x.s.Get(x.ctx(), x.id)
	if err != nil {
		x.t.Fatalf("Get: %v", err)
	}
	if !same(before, after) {
		x.t.Errorf("got %s, want %s as before", describe(after), describe(before))
	}
}

// eventually polls the condition until it holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func finish(token refrain.Token, body string) refrain.Settlement {
	return refrain.Settlement{
		Token: token, Ending: refrain.Finished, Outcome: outcome(body), Retention: long, Tombstone: long,
	}
}

func release(token refrain.Token) refrain.Settlement {
	return refrain.Settlement{Token: token, Ending: refrain.Released}
}

func undecided(token refrain.Token, o *refrain.Outcome) refrain.Settlement {
	return refrain.Settlement{Token: token, Ending: refrain.Undecided, Outcome: o}
}

func outcome(body string) *refrain.Outcome {
	return &refrain.Outcome{Status: 201, Meta: []byte("meta of " + body), Body: []byte(body)}
}

func endState(e refrain.Ending) refrain.State {
	switch e {
	case refrain.Finished:
		return refrain.StateDone
	case refrain.Undecided:
		return refrain.StateUnknown
	}
	return refrain.StateAbsent
}

// same reports whether two records say the same of the operation.
func same(a, b refrain.Record) bool {
	return a.State == b.State && a.Token == b.Token && a.Fence == b.Fence && a.Fingerprint == b.Fingerprint &&
		a.Created.Equal(b.Created) && a.Lease.Equal(b.Lease) && a.Retain.Equal(b.Retain) && a.Forget.Equal(b.Forget) &&
		sameOutcome(a.Outcome, b.Outcome)
}

func sameOutcome(a, b *refrain.Outcome) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Status == b.Status && a.Omitted == b.Omitted && bytes.Equal(a.Meta, b.Meta) && bytes.Equal(a.Body, b.Body)
}

// wantOutcome checks that a record carries the outcome.
func (x *subject) wantOutcome(r refrain.Record, want *refrain.Outcome) {
	x.t.Helper()
	if !sameOutcome(r.Outcome, want) {
		x.t.Errorf("got %s, want the outcome %s", describe(r), describe(refrain.Record{Outcome: want}))
	}
}
