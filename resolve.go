package refrain

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Resolution is an operator's word on an operation.
type Resolution struct {
	// Fence is that of the operation's claim as the operator saw it. A newer claim is not resolved by it.
	Fence uint64
	// Ending is what becomes of the operation: Finished for an unknown one that happened, Released for an unknown one that did
	// not, so that its next attempt runs, Forgotten for one that is done, whose key is new from then on.
	Ending Ending
	// Outcome is what duplicates are given, for Finished. If the first answer is not known, it is Omitted.
	Outcome Outcome
	// Keep is how long that is kept. Its zeros stand for the Guard's policy, since nobody knows the operation's.
	Keep Keep
	// By and Reason say who resolved it, and why, in the log. They must hold no key.
	By, Reason string
}

// Lookup returns what is known of an operation, as of the store's clock; the zero Record when it is absent. With
// ErrUnrecorded the operation has ended in this process, the store does not know it yet, and the record is what others may
// know of it.
func (g *Guard) Lookup(ctx context.Context, id ID) (Record, error) {
	if r, ok := g.backlog.lookup(id); ok {
		return r, ErrUnrecorded
	}
	r, err := g.store.Get(g.calls.context(ctx), id)
	if err != nil && !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return r, err
}

// Resolve ends an operation by hand and returns the record after it. The store takes the word only if the operation is still
// what Lookup showed: that claim, unknown for Finished and Released, done or expired for Forgotten. So it never ends a claim
// whose owner is alive, nor overrules an outcome that came late, and of two operators one is refused. An owner that comes
// after it is refused.
//
// Whoever releases an operation must know for certain that it did not happen and is not under way: it is run again.
//
// Resolve waits, as long as ctx lasts, for what this process is doing about the operation. It reaches all that this process
// remembers of it, but not the memory of others: there a forgotten outcome may be replayed until its retention ends.
//
// The errors are ErrAbsent, ErrChanged, ErrWrongState, ErrUnrecorded for an operation whose own ending waits for the store,
// and ErrUnavailable, after which it may be resolved or not.
func (g *Guard) Resolve(ctx context.Context, id ID, res Resolution) (Record, error) {
	was, next, err := g.resolve(ctx, id, &res)
	if err != nil {
		return Record{}, fmt.Errorf("resolving %s: %w", id, err)
	}
	g.observe(Event{Kind: EventResolved, Ending: res.Ending})
	g.log.Warn("operation resolved by an operator", "op", id, "fence", res.Fence, "was", was.State, "ending", res.Ending,
		"code", res.Outcome.Status, "by", res.By, "reason", res.Reason)
	return next, nil
}

func (g *Guard) resolve(ctx context.Context, id ID, res *Resolution) (was, next Record, err error) {
	if !g.enter() {
		return was, next, ErrClosed
	}
	defer g.leave()
	if was, err = g.resolvable(ctx, id, res); err != nil { // at once, before waiting for an operation that runs here
		return was, next, err
	}
	f, err := g.hold(ctx, id)
	if err != nil {
		return was, next, err
	}
	defer f.land(nil, time.Time{}) // whoever waits asks the store
	if was, err = g.resolvable(ctx, id, res); err != nil {
		return was, next, err
	}
	next, err = g.settle(ctx, res.settlement(id, &was, &g.policy))
	switch {
	case errors.Is(err, ErrStale):
		return was, next, ErrChanged
	case err != nil && !errors.Is(err, ErrUnavailable):
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	g.recall.forget(id)
	g.probes.forget(id)
	return was, next, err
}

// resolvable returns the operation, and why it cannot be resolved so.
func (g *Guard) resolvable(ctx context.Context, id ID, res *Resolution) (Record, error) {
	r, err := g.Lookup(ctx, id)
	if err != nil {
		return r, err
	}
	var right bool
	switch res.Ending {
	case Finished, Released:
		right = r.State == StateUnknown && !r.unreadable()
	case Forgotten:
		right = r.State == StateDone || r.State == StateExpired
	case Undecided:
	}
	switch {
	case r.State == StateAbsent:
		return r, ErrAbsent
	case r.unreadable():
		return r, fmt.Errorf("%w: its record cannot be read", ErrWrongState)
	case r.IsMark():
		return r, fmt.Errorf("%w: it is the mark of a sequence", ErrWrongState)
	case r.Fence != res.Fence:
		return r, ErrChanged
	case !right:
		return r, fmt.Errorf("%w: it is %s", ErrWrongState, r.State)
	}
	return r, nil
}

// hold leads the flight of the operation, so that nobody in this process asks the store about it meanwhile, nor remembers
// what it said before. Whoever joins waits until the flight lands.
func (g *Guard) hold(ctx context.Context, id ID) (*flight, error) {
	a := &Attempt{guard: g, id: id}
	for {
		f, leads := g.flights.join(a)
		if leads {
			return f, nil
		}
		_, more := f.hear()
		if more == nil {
			continue // it has landed just now
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: this process works on it", ErrWrongState)
		}
	}
}

func (res *Resolution) settlement(id ID, was *Record, p *Policy) Settlement {
	s := Settlement{ID: id, Token: was.Token, Ending: res.Ending}
	if res.Ending != Forgotten {
		s.Instead = NewToken()
	}
	if res.Ending == Finished {
		k := res.Keep.or(p)
		s.Outcome, s.Retention, s.Tombstone = &res.Outcome, k.Retention, k.Tombstone
	}
	return s
}
