package refrain

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// An Attempt is one arrival of an operation and what was decided about it.
type Attempt struct {
	// Verdict is the decision.
	Verdict Verdict
	// Record is what the decision rests on, as of Now. After Finish it is the finished record.
	Record Record
	// Now is the store's time of the decision: Record.Lease.Sub(Now) is what is left of a lease.
	Now time.Time
	// Route is that of the operation's scope.
	Route string
	// Unrecorded says that the outcome of a Replay is not in the store yet, only in the journal.
	Unrecorded bool

	slot        uint32 // of its key, in the recall
	guard       *Guard
	id          ID
	fingerprint Fingerprint
	policy      Policy
	probe       ProbeFunc
	inBatch     bool
	start       time.Time

	fingerprintAs func(version uint8) (Fingerprint, bool)

	tenure *tenure // of one that asks the store
}

// A tenure is what an attempt needs from asking the store until its claim, if it gets one, ends.
type tenure struct {
	flight   flight
	link     renewalLink
	contexts atomic.Pointer[attemptContext] // of the execution, the newest first
	lost     atomic.Bool                    // somebody else has a newer claim

	mu      sync.Mutex
	owned   bool // the claim is the attempt's
	ended   bool
	adrift  bool // its followers wait for it no more
	inTx    bool // a transaction of the caller's decides about it
	astray  bool // a later one could not record it: whether that was committed, nobody knows
	token   Token
	granted time.Time // when, by this process's clock
}

// deadline returns when the execution must end and renewing stops.
func (t *tenure) deadline() time.Time { return t.granted.Add(t.flight.leader.policy.Timeout) }

// remotePoll is how often an attempt that waits for another process asks the store.
const remotePoll = 500 * time.Millisecond

// lead asks the store on behalf of every duplicate in the process.
func (a *Attempt) lead(w *wait) error {
	f := &a.tenure.flight
	if !a.guard.enter() {
		f.fail(ErrClosed)
		f.land(nil, time.Time{})
		return ErrClosed
	}
	defer a.land(w)
	if left := w.untilNext(); left > 0 { // the one who led before has asked just now: what it heard still holds
		f.decide(&Decision{Verdict: InFlight, Record: a.Record, Now: a.Now})
		if !w.pause(left, nil) {
			return nil
		}
	}
	claim := Claim{
		ID: a.id, Token: NewToken(), Fingerprint: a.fingerprint,
		Lease: a.policy.Lease, Rerun: a.policy.Unknown == Rerun,
	}
	err := a.ask(w, &claim)
	if err == nil && a.Verdict == InFlight && w.left > 0 {
		err = a.await(w, &claim)
	}
	return err
}

// await asks again while another process works on the operation: when the store tells that it has ended, and now and then.
func (a *Attempt) await(w *wait, c *Claim) error {
	ended, stop := a.guard.watch(a.id)
	defer stop()
	for a.Verdict == InFlight && w.pause(remotePoll, ended) {
		select {
		case <-ended:
			ended = nil // a store that is wrong makes nobody ask more than once
		default:
		}
		if err := a.ask(w, c); err != nil {
			return err
		}
	}
	return nil
}

// ask makes the claim, and the attempt its owner if it is won.
func (a *Attempt) ask(w *wait, c *Claim) error {
	f := &a.tenure.flight
	d, err := a.claim(w.ctx, c)
	if err == nil && d.Verdict == Unknown && a.mayProbe(&d.Record, d.Now) {
		d, err = a.inquire(w.ctx, c, d)
	}
	if err != nil {
		// The claim may have been made all the same. Nothing ran, so giving it back is safe.
		a.guard.backlog.add(Settlement{ID: a.id, Token: c.Token, Ending: Released}, Record{}, a.Route)
		f.fail(err)
		return err
	}
	switch d.Verdict {
	case Run:
		a.own(c.Token) // before the followers know, so that it is a claim before anyone waits for it
	case InFlight:
		w.next = time.Now().Add(remotePoll)
	default:
		a.guard.recall.keep(a.id, a.slot, &d.Record, d.Now)
	}
	f.decide(&d)
	return nil
}

// land ends the flight of a leader that owns no claim.
func (a *Attempt) land(w *wait) {
	if a.tenure.owned {
		return
	}
	f := &a.tenure.flight
	f.fail(ErrUnavailable)     // changes nothing, unless the store panicked
	if a.Verdict == InFlight { // nobody watches it from now on: followers with patience ask the store
		f.land(nil, w.next)
	} else {
		f.land(&a.Record, time.Time{})
	}
	a.guard.leave()
}

// follow waits for the leader of the operation's flight. It reports whether to start over.
func (a *Attempt) follow(f *flight, w *wait) (again bool, err error) {
	n, more := f.hear()
	if n.stage == stageAsking {
		<-more // bounded by the store's timeout, and a probe's
		n, more = f.hear()
	}
	if n.err != nil {
		return false, n.err
	}
	if n.stage == stageDecided {
		a.answer(n.record, n.now)
		if a.Verdict == Unknown && !a.Record.unreadable() && a.mayGoOn(&n) { // the leader's policy was another
			<-more // at once: it got no claim
			return true, nil
		}
		if a.Verdict != InFlight || !w.until(more) {
			return false, nil
		}
		n, _ = f.hear()
	}
	if n.record.State == StateAbsent || n.record.State == StateUnknown && a.mayGoOn(&n) {
		if w.next = n.next; a.Verdict != InFlight {
			w.next = time.Time{} // it came too late to hear what the leader knew
		}
		return true, nil
	}
	a.answer(n.record, n.now)
	_, a.Unrecorded = a.guard.backlog.lookup(a.id)
	return false, nil
}

// mayGoOn reports whether the attempt's policy lets it do more about an unknown operation than its leader did.
func (a *Attempt) mayGoOn(n *news) bool {
	return a.policy.Unknown == Rerun || a.mayProbe(&n.record, n.now)
}

// answer judges the attempt by a record that is not its own.
func (a *Attempt) answer(r Record, now time.Time) *Attempt {
	if !a.speak(&r) {
		r = Unreadable()
	}
	a.Record, a.Now = r, now
	a.Verdict = r.Judge(a.fingerprint)
	return a
}

// own makes the attempt the owner of a claim.
func (a *Attempt) own(token Token) {
	now := time.Now()
	t := a.tenure
	t.owned, t.token, t.granted = true, token, now
	a.guard.owned.Add(1)
	a.guard.renewer.add(t, a.policy.Lease, now)
}

// keepAlive renews the lease, again and again while the execution may last.
func (a *Attempt) keepAlive() {
	t := a.tenure
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended || t.adrift {
		return
	}
	if time.Now().After(t.deadline()) {
		n, _ := t.flight.hear() // what the followers believe so far
		n.record.State = StateUnknown
		a.drift(&n.record)
		return
	}
	t.mu.Unlock()
	err := a.guard.renew(Renewal{ID: a.id, Token: t.token, Lease: a.policy.Lease})
	t.mu.Lock()
	switch {
	case t.ended:
	case errors.Is(err, ErrStale) && t.inTx: // it has committed
		a.drift(nil)
	case errors.Is(err, ErrStale):
		a.guard.observe(Event{Kind: EventStale, Route: a.Route})
		a.guard.log.Warn("claim was taken over while its owner worked", "op", a.id, "route", a.Route)
		a.drift(nil)
		t.lose()
	default: // renewed; or the store is away, and trying again is all there is to do
		a.guard.renewer.add(t, a.policy.Lease, time.Now())
	}
}

// drift stops protecting an execution that outlived its timeout or lost its claim, and tells its followers what to believe:
// that nobody knows, as the store says too once the lease has lapsed, or to ask the store, where a newer claim may be. A late
// Finish is still welcome there.
func (a *Attempt) drift(r *Record) {
	a.tenure.adrift = true
	a.tenure.flight.land(r, time.Time{})
}

// lose ends the contexts of an execution whose claim is another's: whatever it does from now on, it does beside its successor.
func (t *tenure) lose() {
	t.lost.Store(true)
	for c := t.contexts.Load(); c != nil; c = c.older {
		c.end()
	}
}

// ID names the operation in the store.
func (a *Attempt) ID() ID { return a.id }

// Fence returns the claim's fence, which an upstream can use to refuse an attempt that was overtaken.
func (a *Attempt) Fence() uint64 { return a.Record.Fence }

// Policy returns the policy that governs the attempt, with its defaults made explicit.
func (a *Attempt) Policy() Policy { return a.policy }

// Context returns a context for the execution: it carries the attempt and the values of parent, does not end when parent
// does, and ends at the policy's Timeout, or before that when a renewal finds that somebody else has a newer claim or has
// settled the operation.
func (a *Attempt) Context(parent context.Context) (context.Context, context.CancelFunc) {
	ctx := a.context(parent)
	return ctx, ctx.end
}

func (a *Attempt) context(parent context.Context) *attemptContext {
	t := a.tenure
	c := &attemptContext{limitedContext: limitedContext{parent: parent, deadline: t.deadline()}, attempt: a}
	for added := false; !added; {
		c.older = t.contexts.Load()
		added = t.contexts.CompareAndSwap(c.older, c)
	}
	if t.lost.Load() { // before lose could see it
		c.end()
	}
	return c
}

// An attemptContext is the context of an execution.
type attemptContext struct {
	limitedContext
	attempt *Attempt
	older   *attemptContext // of the same attempt
}

type attemptKey struct{}

// Value implements context.Context.
func (c *attemptContext) Value(key any) any {
	if key == (attemptKey{}) {
		return c.attempt
	}
	return c.limitedContext.Value(key)
}

// FromContext returns the attempt on whose behalf ctx runs, or nil.
func FromContext(ctx context.Context) *Attempt {
	a, _ := ctx.Value(attemptKey{}).(*Attempt)
	return a
}

// Finish records the outcome; it is durable when Finish returns nil, and never changes. ErrStale says that the claim was
// taken over, ErrUnrecorded that the store did not take the outcome: it is kept, in the journal if there is one, and
// written when the store is back, and the key is not released.
func (a *Attempt) Finish(ctx context.Context, o Outcome) error { return a.FinishFor(ctx, o, Keep{}) }

// A Keep is how long an outcome is kept, if not for as long as the policy says.
type Keep struct {
	Retention time.Duration // how long it is replayed; if zero, the policy's
	Tombstone time.Duration // how long after that the key is still known as used; if zero, the policy's; if negative, not at all
}

// or returns what is kept under the policy.
func (k Keep) or(p *Policy) Keep {
	setDefault(&k.Retention, p.Retention)
	setDefault(&k.Tombstone, p.Tombstone)
	k.Tombstone = max(k.Tombstone, 0)
	return k
}

// FinishFor is Finish for an outcome that is kept for a time of its own, such as an answer that says that the operation failed.
func (a *Attempt) FinishFor(ctx context.Context, o Outcome, k Keep) error {
	k = k.or(&a.policy)
	return a.end(ctx, Settlement{Ending: Finished, Outcome: &o, Retention: k.Retention, Tombstone: k.Tombstone})
}

// Release says that nothing happened: the next attempt runs. The errors are those of Finish.
func (a *Attempt) Release(ctx context.Context) error {
	return a.end(ctx, Settlement{Ending: Released})
}

// MarkUnknown says that nobody knows whether it happened. The outcome, if not nil, is the answer that did not tell. The
// errors are those of Finish. After FinishTx it is known: see there.
func (a *Attempt) MarkUnknown(ctx context.Context, o *Outcome) error {
	return a.end(ctx, Settlement{Ending: Undecided, Outcome: o})
}

func (a *Attempt) end(ctx context.Context, s Settlement) error {
	t := a.tenure
	if t == nil || !t.end() {
		return ErrStale
	}
	defer a.guard.leave()
	defer a.guard.owned.Add(-1)

	s.ID, s.Token = a.id, t.token
	var next Record
	var err error
	if t.inTx {
		next, err = a.afterTx(ctx, &s)
	} else {
		next, err = a.guard.settle(ctx, s)
	}
	if err != nil {
		return a.unsettled(s, err)
	}
	if next.State == StateDone && a.guard.peeker == nil && !t.adrift { // a flight keeps Resolve away from what is kept here
		a.guard.recall.keep(a.id, a.slot, &next, a.Now.Add(time.Since(t.granted)))
	}
	a.guard.observe(Event{Kind: EventSettled, Route: a.Route, Ending: s.Ending, Took: a.guard.since(a.start)})
	t.flight.finish(&next)
	return nil
}

// unsettled deals with an ending that the store did not take, and returns the error for the caller.
func (a *Attempt) unsettled(s Settlement, err error) error {
	var shown *Record // to followers
	if errors.Is(err, ErrStale) {
		a.guard.observe(Event{Kind: EventStale, Route: a.Route, Ending: s.Ending})
		a.guard.log.Warn("late ending refused: somebody else has settled it since", "op", a.id, "route", a.Route, "ending", s.Ending)
	} else {
		a.guard.observe(Event{Kind: EventUnrecorded, Route: a.Route, Ending: s.Ending, Err: err})
		a.guard.log.Error("ending not recorded, will retry", "op", a.id, "route", a.Route, "ending", s.Ending, "err", err)
		next := a.guard.backlog.add(s, a.Record, a.Route)
		shown, err = &next, ErrUnrecorded
	}
	if t := a.tenure; !t.adrift {
		t.flight.land(shown, time.Time{})
	}
	return err
}

// end ends the renewals of the claim, and reports whether it was the attempt's until now.
func (t *tenure) end() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.owned || t.ended {
		return false
	}
	t.ended = true
	t.flight.leader.guard.renewer.remove(t)
	return true
}
