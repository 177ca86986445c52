package refrain

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A TxSettler is a Store that can settle in a transaction of its caller's, beside the caller's own rows.
type TxSettler interface {
	// SettleTx makes the settlement in tx, which is of a type that the store's package names: for everybody else it is made
	// when tx commits, and never when tx does not. From then on until tx ends, Settle of the same operation waits for it.
	//
	// The error is ErrStale, which is an answer: nothing was written, and tx must not commit what belongs to the operation. So
	// it is with every other error, such as ErrNoTx. What the settlement does is what [Settlement.ApplyTx] says.
	SettleTx(ctx context.Context, tx any, s Settlement) (Record, error)
}

// ApplyTx is Apply in a transaction of the caller's. It is ErrStale also when the claim has ended in the same way before: another
// transaction may have been committed of which nobody has heard that, and this one must not do its work again.
func (s Settlement) ApplyTx(cur Record, now time.Time) (Record, error) {
	next, written, err := s.Apply(cur, now)
	switch {
	case err != nil:
		return Record{}, err
	case !written:
		return Record{}, ErrStale
	}
	return next, nil
}

// ErrNoTx says that the store cannot record an outcome in that transaction: it is of a type that the store does not know, the
// store knows none, or the operation is one of a batch.
var ErrNoTx = errors.New("the store cannot record in this transaction")

// FinishTx records the outcome in a transaction of the caller's: it becomes durable when tx commits, together with whatever
// else tx writes, and if tx does not commit, it never was. So the state change and its record are one, and the operation
// happens exactly once. The store must be a [TxSettler] in the same database, whose package says what tx may be.
//
// Whoever owns the attempt ends it as always, after tx has ended: [Do] and the middleware of package refrainhttp do. What they
// are told then counts only if tx did not commit; otherwise the outcome stands that was recorded in it, and the attempt's
// Record has it. An operation whose tx was rolled back and of which nobody knows more (MarkUnknown) is released: its effect was
// in tx.
//
// After an error tx must be rolled back. ErrStale says that the claim was taken over, or has ended: be it by a transaction before
// this one of whose commit nobody has heard. So whatever became of a transaction, another may be tried, with FinishTx; in each it
// is called once.
//
// FinishTx of a nil Attempt, which [FromContext] returns where nothing is protected, does nothing and returns nil.
func (a *Attempt) FinishTx(ctx context.Context, tx any, o Outcome) error {
	if a == nil {
		return nil
	}
	s, ok := a.guard.store.(TxSettler)
	if !ok || a.inBatch {
		return fmt.Errorf("finishing in a transaction: %w", ErrNoTx)
	}
	t := a.tenure
	if t == nil || !t.owns() {
		return ErrStale
	}
	start := a.guard.now()
	_, err := s.SettleTx(ctx, tx, Settlement{
		ID: a.id, Token: t.token, Ending: Finished, Outcome: &o,
		Retention: a.policy.Retention, Tombstone: a.policy.Tombstone,
	})
	a.guard.observe(Event{Kind: EventStoreCall, Call: "settle", Took: a.guard.since(start), Err: err})
	if !t.delegate(err == nil) && err == nil {
		err = ErrStale // its owner did not wait for the transaction, and has said how it ends
	}
	if err != nil {
		return fmt.Errorf("finishing in a transaction: %w", err)
	}
	return nil
}

// InTx reports whether the outcome was recorded with FinishTx, in a transaction that may have been committed or not. Once the
// attempt has ended, its Record tells: it is done, or it is not.
func (a *Attempt) InTx() bool {
	if a == nil || a.tenure == nil {
		return false
	}
	a.tenure.mu.Lock()
	defer a.tenure.mu.Unlock()
	return a.tenure.inTx
}

func (t *tenure) owns() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.owned && !t.ended
}

// delegate notes whether it is a transaction that decides about the claim. One in which nothing could be recorded does not: if
// it is committed all the same, nobody knows, unless one before it was. It reports false once the claim has ended.
func (t *tenure) delegate(recorded bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return false
	}
	t.inTx, t.astray = t.inTx || recorded, !recorded
	return true
}

// afterTx ends a claim about which a transaction decides: the settlement comes true if it was rolled back. The store lets it
// wait until then.
func (a *Attempt) afterTx(ctx context.Context, s *Settlement) (Record, error) {
	rolledBack := Released
	if a.tenure.astray {
		rolledBack = Undecided
	}
	if s.Ending == Undecided && rolledBack == Released {
		s.Ending, s.Outcome = Released, nil
	}
	next, err := a.guard.settle(ctx, *s)
	if errors.Is(err, ErrStale) {
		if r, e := a.guard.Lookup(ctx, a.id); e != nil {
			err = e
		} else if r.Token == s.Token && (r.State == StateDone || r.State == StateExpired) {
			next, err, s.Ending = r, nil, Finished
		}
	}
	if err != nil && !errors.Is(err, ErrStale) {
		// It may be that the transaction's outcome is there. So what is tried again must not be shown to anybody meanwhile.
		s.Ending, s.Outcome = rolledBack, nil
	}
	return next, err
}
