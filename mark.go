package refrain

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// forever is how long marks are kept, as far as all stores can count.
const forever = 100 * 365 * 24 * time.Hour

var errMarkUnreadable = fmt.Errorf("%w: the record of a mark cannot be read", ErrUnavailable)

// maxRaises bounds how often a mark is looked at anew because others raise it meanwhile.
const maxRaises = 64

// Raise sees to it that the high-water mark of the scope is at least n. It returns what the mark was when it was first
// looked at, and what it is: no less than any Raise of that scope, in any process, that had returned before this one began.
// Both are durable. A scope whose mark nobody raised has the mark 0.
//
// A mark that is high enough already costs one read as a rule, and no write.
//
// The errors are ErrUnavailable, after which the mark may be raised or not, and ErrClosed.
func (g *Guard) Raise(ctx context.Context, scope Scope, n uint64) (was, mark uint64, err error) {
	if mark, ok, err := g.standing(ctx, &scope, n); ok || err != nil {
		return mark, mark, raisingError(err)
	}
	was, mark, err = g.raise(ctx, &scope, n)
	return was, mark, raisingError(err)
}

func raisingError(err error) error {
	if err != nil {
		err = fmt.Errorf("raising a mark: %w", err)
	}
	return err
}

// raise is Raise for a mark that is not where it was seen, or too low.
func (g *Guard) raise(ctx context.Context, scope *Scope, n uint64) (was, mark uint64, err error) {
	if !g.enter() {
		return 0, 0, ErrClosed
	}
	defer g.leave()
	r := &raising{guard: g, ids: g.identity.marks(scope), n: n}
	if was, mark, err = r.run(ctx); err != nil {
		return 0, 0, err
	}
	g.marks.keep(scope, r.sighting())
	r.tidy()
	return was, mark, nil
}

// A raising is one Raise.
//
// A mark is kept by two records. A number is written by claiming the record that does not hold the greatest one, and
// thereby durable; it is never changed, only removed, and that only by whoever has seen a greater one in the other record.
// So the greatest number there is never falls: to remove it, somebody must have seen a greater one, which would have been
// removed before it, and so on. ADR 9 has the argument.
type raising struct {
	guard *Guard
	ids   [2]ID
	n     uint64
	slots [2]Record // as they were last looked at
	own   int       // the slot that was written
	token Token     // of what was written there
}

func (r *raising) run(ctx context.Context) (was, mark uint64, err error) {
	for i := range maxRaises {
		if err = r.look(ctx); err != nil {
			return 0, 0, err
		}
		top := r.top()
		mark = r.slots[top].Token.number()
		if i == 0 {
			was = mark
		}
		if r.slots[top].State == StateAbsent || mark < r.n {
			err = r.write(ctx, 1-top)
		} else if same, e := r.confirm(ctx); same || e != nil {
			return was, mark, e
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return 0, 0, fmt.Errorf("%w: others raise it all the time", ErrUnavailable)
}

// look reads both records.
func (r *raising) look(ctx context.Context) (err error) {
	for i := range r.slots {
		if r.slots[i], err = r.guard.Lookup(ctx, r.ids[i]); err != nil {
			return err
		}
		if r.slots[i].unreadable() {
			return errMarkUnreadable
		}
	}
	return nil
}

// top returns the slot with the greatest number. Of equal ones it is the first: each has its place in one order.
func (r *raising) top() int {
	a, b := &r.slots[0], &r.slots[1]
	if b.State != StateAbsent && (a.State == StateAbsent || b.Token.number() > a.Token.number()) {
		return 1
	}
	return 0
}

// confirm reports whether both records were, at one moment, what look has seen one after the other: one that is there, with
// the same token, has been there all the time.
func (r *raising) confirm(ctx context.Context) (bool, error) {
	for i := range r.slots {
		again, err := r.guard.Lookup(ctx, r.ids[i])
		if err != nil || again.Token != r.slots[i].Token {
			return false, err
		}
		if again.State != StateAbsent {
			return true, nil
		}
	}
	return false, nil
}

// sighting returns where the mark is, by what confirm has confirmed.
func (r *raising) sighting() *sighting {
	top := r.top()
	return &sighting{
		ids: r.ids, slot: top, token: r.slots[top].Token, other: r.slots[1-top].Token, mark: r.slots[top].Token.number(),
	}
}

// write puts the number into a slot that does not hold the greatest one. Somebody else may be quicker.
func (r *raising) write(ctx context.Context, slot int) error {
	if err := r.remove(ctx, slot); err != nil {
		return err
	}
	token := numbered(r.n)
	d, err := r.guard.claim(ctx, &Claim{ID: r.ids[slot], Token: token, Lease: minLease})
	if err == nil && d.Verdict == Run {
		r.own, r.token = slot, token
	}
	return err
}

// remove takes the record of a slot away, if it is the one that was looked at.
func (r *raising) remove(ctx context.Context, slot int) error {
	was := &r.slots[slot]
	s := Settlement{ID: r.ids[slot], Token: was.Token, Ending: Released}
	switch was.State {
	case StateAbsent:
		return nil
	case StateDone, StateExpired:
		s.Ending = Forgotten
	case StateRunning, StateUnknown:
	}
	return r.settle(ctx, s)
}

// tidy ends the claim that was made, if one was: it is no operation that runs.
func (r *raising) tidy() {
	if r.token == (Token{}) {
		return
	}
	_ = r.settle(context.Background(), Settlement{
		ID: r.ids[r.own], Token: r.token, Ending: Finished, Outcome: &Outcome{Omitted: true}, Retention: forever,
	})
}

// settle is the guard's, for a record that somebody else may have changed: whoever goes on looks anew.
func (r *raising) settle(ctx context.Context, s Settlement) error {
	_, err := r.guard.settle(ctx, s)
	switch {
	case errors.Is(err, ErrStale):
		return nil
	case err != nil && !errors.Is(err, ErrUnavailable):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// numbered returns a token that holds a number: it is what a claim says by itself, in one step.
func numbered(n uint64) (t Token) {
	binary.BigEndian.PutUint64(t[:8], n)
	_, _ = rand.Read(t[8:]) // never fails since Go 1.24
	return t
}

// IsMark reports whether the record keeps the mark of a sequence. It is no operation, and whoever removed it would let numbers
// run again.
func (r *Record) IsMark() bool {
	return r.State != StateAbsent && !r.unreadable() && r.Fingerprint == Fingerprint{}
}

// number returns what numbered has put into a token.
func (t *Token) number() uint64 { return binary.BigEndian.Uint64(t[:8]) }
