package refrain_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

// A transactional store is a memstore that settles in transactions, as a database does: what a transaction settles is there
// once it commits, and whoever wants to settle the same operation waits for its end.
type transactional struct {
	*faulty
	open chan struct{} // holds one while a transaction has settled something and has not ended
}

func newTransactional() *transactional {
	return &transactional{faulty: newFaulty(), open: make(chan struct{}, 1)}
}

// A transaction is one of a transactional store's.
type transaction struct {
	meanwhile func() // if not nil, is done before whoever settles in it hears of that
	store     *transactional
	settled   *refrain.Settlement
}

func (s *transactional) begin() *transaction { return &transaction{store: s} }

func (s *transactional) SettleTx(ctx context.Context, tx any, e refrain.Settlement) (refrain.Record, error) {
	t, ok := tx.(*transaction)
	if !ok {
		return refrain.Record{}, refrain.ErrNoTx
	}
	cur, err := s.Get(ctx, e.ID)
	if err != nil {
		return refrain.Record{}, err
	}
	next, err := e.ApplyTx(cur, time.Now())
	if err == nil {
		s.open <- struct{}{}
		t.settled = &e
		if t.meanwhile != nil {
			t.meanwhile()
		}
	}
	return next, err
}

func (s *transactional) Settle(ctx context.Context, e refrain.Settlement) (refrain.Record, error) {
	select {
	case s.open <- struct{}{}:
		defer func() { <-s.open }()
		return s.faulty.Settle(ctx, e)
	case <-ctx.Done():
		return refrain.Record{}, ctx.Err()
	}
}

func (t *transaction) commit(tb testing.TB) {
	tb.Helper()
	if _, err := t.store.Store.Settle(context.Background(), *t.settled); err != nil {
		tb.Errorf("commit: %v", err)
	}
	<-t.store.open
}

func (t *transaction) rollback() { <-t.store.open }

func finishTx(t *testing.T, a *refrain.Attempt, tx *transaction, body string) {
	t.Helper()
	if err := a.FinishTx(t.Context(), tx, refrain.Outcome{Status: 201, Body: []byte(body)}); err != nil {
		t.Fatalf("FinishTx: %v", err)
	}
}

// recording returns an attempt that has recorded its outcome, "paid", in a transaction that is open.
func recording(t *testing.T) (*transactional, *refrain.Guard, *refrain.Attempt, *transaction) {
	t.Helper()
	s := newTransactional()
	g := guard(t, s, refrain.Config{})
	a := begin(t, g, operation("k"), refrain.Run)
	tx := s.begin()
	finishTx(t, a, tx, "paid")
	return s, g, a, tx
}

// endings are all that an owner can say at the end.
var endings = map[string]func(*refrain.Attempt) error{
	"finish": func(a *refrain.Attempt) error {
		return a.Finish(context.Background(), refrain.Outcome{Status: 422, Body: []byte("declined")})
	},
	"release": func(a *refrain.Attempt) error { return a.Release(context.Background()) },
	"unknown": func(a *refrain.Attempt) error { return a.MarkUnknown(context.Background(), nil) },
}

func TestCommittedOutcomeStandsWhateverTheOwnerSays(t *testing.T) {
	t.Parallel()
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				_, g, a, tx := recording(t)
				tx.commit(t)
				if err := end(a); err != nil {
					t.Errorf("got error %v of the ending", err)
				}
				if r := a.Record; r.State != refrain.StateDone || string(r.Outcome.Body) != "paid" || !a.InTx() {
					t.Errorf("got a record %v, want it done as committed", r.State)
				}
				replayed(t, g, operation("k"), "paid")
			})
		})
	}
}

func TestRolledBackOutcomeNeverWas(t *testing.T) {
	t.Parallel()
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				_, g, a, tx := recording(t)
				tx.rollback()
				if err := end(a); err != nil {
					t.Errorf("got error %v of the ending", err)
				}
				if name == "finish" {
					replayed(t, g, operation("k"), "declined")
					return
				}
				if a.Record.State != refrain.StateAbsent {
					t.Errorf("got a record %v, want it released", a.Record.State)
				}
				finish(t, begin(t, g, operation("k"), refrain.Run), "second")
			})
		})
	}
}

// TestTransactionAfterACommitThatNobodyHeardOf tries again what has been committed: that transaction must not commit, and the
// operation is done as the first has it, whatever the owner says.
func TestTransactionAfterACommitThatNobodyHeardOf(t *testing.T) {
	t.Parallel()
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				s, g, a, tx := recording(t)
				tx.commit(t)
				err := a.FinishTx(t.Context(), s.begin(), refrain.Outcome{Status: 201, Body: []byte("paid twice")})
				if !errors.Is(err, refrain.ErrStale) {
					t.Fatalf("FinishTx in another transaction: got error %v, want %v", err, refrain.ErrStale)
				}
				if err := end(a); err != nil || a.Record.State != refrain.StateDone || !a.InTx() {
					t.Errorf("got error %v of the ending and a record %v, want it done as committed", err, a.Record.State)
				}
				replayed(t, g, operation("k"), "paid")
			})
		})
	}
}

// TestTransactionThatGoesAstray rolls back the transaction that recorded, and tries one that cannot: of that nobody knows whether it
// was committed.
func TestTransactionThatGoesAstray(t *testing.T) {
	virtual(t, func(t *testing.T) {
		_, g, a, tx := recording(t)
		tx.rollback()
		if err := a.FinishTx(t.Context(), "another database's", refrain.Outcome{}); !errors.Is(err, refrain.ErrNoTx) {
			t.Fatalf("got error %v, want %v", err, refrain.ErrNoTx)
		}
		if err := a.MarkUnknown(t.Context(), nil); err != nil || a.Record.State != refrain.StateUnknown {
			t.Errorf("got error %v and a record %v, want it unknown", err, a.Record.State)
		}
		begin(t, g, operation("k"), refrain.Unknown)
	})
}

// TestEndingWaitsForTheTransaction ends the attempt while the transaction is open: what is true shows when it ends.
// TestTransactionOfAnOwnerThatHasEnded is left to a goroutine by a handler that returns: the answer that its client gets stands, and
// the transaction must not commit.
func TestTransactionOfAnOwnerThatHasEnded(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := newTransactional()
		g := guard(t, s, refrain.Config{})
		a := begin(t, g, operation("k"), refrain.Run)
		ended := make(chan error, 1)
		tx := s.begin()
		tx.meanwhile = func() {
			go func() { ended <- a.Finish(context.Background(), refrain.Outcome{Body: []byte("answered")}) }()
			synctest.Wait()
		}
		if err := a.FinishTx(t.Context(), tx, refrain.Outcome{Body: []byte("paid")}); !errors.Is(err, refrain.ErrStale) {
			t.Errorf("FinishTx: got error %v, want %v", err, refrain.ErrStale)
		}
		tx.rollback()
		if err := <-ended; err != nil || a.InTx() {
			t.Errorf("got error %v of the ending, in a transaction: %v", err, a.InTx())
		}
		replayed(t, g, operation("k"), "answered")
	})
}

func TestEndingWaitsForTheTransaction(t *testing.T) {
	virtual(t, func(t *testing.T) {
		_, _, a, tx := recording(t)
		done := make(chan error)
		go func() { done <- a.Release(context.Background()) }()
		pass(time.Second)
		tx.commit(t)
		if err := <-done; err != nil || a.Record.State != refrain.StateDone {
			t.Errorf("got error %v and a record %v, want it done", err, a.Record.State)
		}
	})
}

// TestNothingIsShownOfAnOpenTransaction ends the attempt when the store is away: its journal must not hold, and nobody may see,
// what is true only if the transaction was rolled back.
func TestNothingIsShownOfAnOpenTransaction(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s, j := newTransactional(), &memoryJournal{}
		g := guard(t, s, refrain.Config{Journal: j})
		a := begin(t, g, operation("k"), refrain.Run)
		tx := s.begin()
		finishTx(t, a, tx, "paid")
		tx.commit(t)
		s.fail(refuses)
		if err := endings["finish"](a); !errors.Is(err, refrain.ErrUnrecorded) {
			t.Errorf("got error %v, want %v", err, refrain.ErrUnrecorded)
		}
		if n := j.len(); n != 0 {
			t.Errorf("the journal holds %d endings, want none", n)
		}
		s.fail(works)
		pass(time.Minute)
		replayed(t, g, operation("k"), "paid")
	})
}

// TestCommittedOperationIsNotTakenOver lets a handler go on after its commit, for longer than the lease: the renewals find it
// done, which is no fault.
func TestCommittedOperationIsNotTakenOver(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s, seen := newTransactional(), &events{}
		g := guard(t, s, refrain.Config{Observer: seen})
		a := begin(t, g, operation("k"), refrain.Run)
		tx := s.begin()
		finishTx(t, a, tx, "paid")
		tx.commit(t)
		pass(40 * time.Second)
		replayed(t, g, operation("k"), "paid")
		if err := endings["finish"](a); err != nil || seen.count(refrain.EventStale) != 0 {
			t.Errorf("got error %v and %d events of a stale claim", err, seen.count(refrain.EventStale))
		}
	})
}

func TestFinishTxRefuses(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := newTransactional()
		g := guard(t, s, refrain.Config{})
		a := begin(t, g, operation("k"), refrain.Run)
		if err := a.FinishTx(t.Context(), "no transaction", refrain.Outcome{}); !errors.Is(err, refrain.ErrNoTx) {
			t.Errorf("got error %v, want %v", err, refrain.ErrNoTx)
		}
		if err := a.MarkUnknown(t.Context(), nil); err != nil { // nobody knows what became of that transaction
			t.Fatal(err)
		}
		again := begin(t, g, operation("k"), refrain.Unknown)
		for _, a := range []*refrain.Attempt{a, again} {
			if err := a.FinishTx(t.Context(), s.begin(), refrain.Outcome{}); !errors.Is(err, refrain.ErrStale) {
				t.Errorf("got error %v, want %v", err, refrain.ErrStale)
			}
		}
		if err := refrain.FromContext(t.Context()).FinishTx(t.Context(), s.begin(), refrain.Outcome{}); err != nil {
			t.Errorf("outside of an operation: got error %v", err)
		}
		plain := guard(t, memstore.New(memstore.Config{}), refrain.Config{})
		b := begin(t, plain, operation("k"), refrain.Run)
		if err := b.FinishTx(t.Context(), s.begin(), refrain.Outcome{}); !errors.Is(err, refrain.ErrNoTx) {
			t.Errorf("got error %v, want %v", err, refrain.ErrNoTx)
		}
		finish(t, b, "paid")
	})
}

// TestDoInTx runs a function whose transaction is committed or not, whatever the function returns.
func TestDoInTx(t *testing.T) {
	t.Parallel()
	errLost := errors.New("the answer to COMMIT was lost")
	for name, commits := range map[string]bool{"committed": true, "rolled back": false} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				s := newTransactional()
				g := guard(t, s, refrain.Config{})
				runs := 0
				work := func(ctx context.Context) (charge, error) {
					runs++
					o, err := refrain.Result(charge{"ch_1", 100})
					if err != nil {
						return charge{}, err
					}
					tx := s.begin()
					if err := refrain.FromContext(ctx).FinishTx(ctx, tx, o); err != nil {
						return charge{}, err
					}
					if commits {
						tx.commit(t)
					} else {
						tx.rollback()
					}
					return charge{}, errLost
				}
				for range 2 {
					got, err := refrain.Do(t.Context(), g, operation("k"), work)
					if want := (charge{"ch_1", 100}); commits && (err != nil || got != want) {
						t.Errorf("got %v, error %v, want %v as committed", got, err, want)
					}
					if !commits && !errors.Is(err, errLost) {
						t.Errorf("got error %v, want %v", err, errLost)
					}
				}
				if want := map[bool]int{true: 1, false: 2}[commits]; runs != want {
					t.Errorf("got %d runs, want %d", runs, want)
				}
			})
		})
	}
}
