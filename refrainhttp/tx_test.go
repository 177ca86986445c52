package refrainhttp_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A transaction says whether it will be committed.
type transaction struct{ commits bool }

// SettleTx makes faultyStore a refrain.TxSettler: of a transaction that commits everybody sees what it settled.
func (f *faultyStore) SettleTx(ctx context.Context, tx any, e refrain.Settlement) (refrain.Record, error) {
	t, ok := tx.(transaction)
	if !ok {
		return refrain.Record{}, refrain.ErrNoTx
	}
	cur, err := f.Get(ctx, e.ID)
	if err != nil {
		return refrain.Record{}, err
	}
	next, err := e.ApplyTx(cur, time.Now())
	if err == nil && t.commits {
		return f.Store.Settle(ctx, e)
	}
	return next, err
}

// finishesIn is a handler that records an answer in a transaction and then answers with the status.
func finishesIn(t *testing.T, tx transaction, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		o, err := refrainhttp.NewOutcome(201, http.Header{"X-From": {"the record"}}, []byte("recorded"))
		if err == nil {
			err = refrain.FromContext(r.Context()).FinishTx(r.Context(), tx, o)
		}
		if err != nil {
			t.Errorf("FinishTx: %v", err)
		}
		w.Header().Set("X-From", "the handler")
		w.Header().Set("X-Of-The-Handler", "1")
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		http.Error(w, "of the handler", status)
	}
}

func TestCommittedAnswerIsGiven(t *testing.T) {
	t.Parallel()
	for _, status := range []int{201, 409, 429, 500} {
		s := newSite(t, oneRoute(atOnce()), finishesIn(t, transaction{commits: true}, status))
		first := s.do(post("k", "{}"))
		if first.code != 201 || first.body != "recorded" || first.header.Get("X-From") != "the record" ||
			first.header.Get("X-Of-The-Handler") != "" {
			t.Errorf("handler said %d: got %s, want the recorded answer", status, first)
		}
		if first.status() != "executed" || first.replayed() || first.header.Get("Idempotency-Expires") == "" {
			t.Errorf("handler said %d: got %s, want it marked as executed", status, first)
		}
		s.same(first, s.do(post("k", "{}")))
		s.ran(1)
		if r := s.do(post("", "{}")); r.code != status || r.header.Get("X-From") != "the handler" {
			t.Errorf("without a key: got %s, want the handler's %d", r, status)
		}
	}
}

// TestAnswerOfTheFirstCommit has a handler try again what was committed, as it has not heard of that, and give up.
func TestAnswerOfTheFirstCommit(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(atOnce()), func(w http.ResponseWriter, r *http.Request) {
		finishesIn(t, transaction{commits: true}, 500)(httptest.NewRecorder(), r)
		err := refrain.FromContext(r.Context()).FinishTx(r.Context(), transaction{commits: true}, refrain.Outcome{})
		if !errors.Is(err, refrain.ErrStale) {
			t.Errorf("FinishTx in another transaction: got error %v, want %v", err, refrain.ErrStale)
		}
		http.Error(w, "not paid, try again", http.StatusInternalServerError)
	})
	first := s.do(post("k", "{}"))
	if first.code != 201 || first.body != "recorded" || first.status() != "executed" {
		t.Errorf("got %s, want the recorded answer", first)
	}
	s.same(first, s.do(post("k", "{}")))
	s.ran(1)
}

// TestUnknownAfterTransactions has a handler whose first transaction is rolled back, and the second refused.
func TestUnknownAfterTransactions(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(atOnce()), func(w http.ResponseWriter, r *http.Request) {
		finishesIn(t, transaction{}, 500)(httptest.NewRecorder(), r)
		err := refrain.FromContext(r.Context()).FinishTx(r.Context(), "another database's", refrain.Outcome{})
		if !errors.Is(err, refrain.ErrNoTx) {
			t.Errorf("FinishTx: got error %v, want %v", err, refrain.ErrNoTx)
		}
		http.Error(w, "who knows", http.StatusInternalServerError)
	})
	if r := s.do(post("k", "{}")); r.code != 500 || r.status() != "unknown" {
		t.Errorf("got %s, want it unknown", r)
	}
	s.ran(1)
}

func TestRolledBackAnswerIsClassified(t *testing.T) {
	t.Parallel()
	for status, runs := range map[int]int64{422: 1, 429: 2, 500: 2} {
		s := newSite(t, oneRoute(atOnce()), finishesIn(t, transaction{}, status))
		for range 2 {
			if r := s.do(post("k", "{}")); r.code != status || r.header.Get("X-From") != "the handler" || r.status() == "unknown" {
				t.Errorf("got %s, want the handler's %d", r, status)
			}
		}
		s.ran(runs)
	}
}

func TestPanicAfterCommit(t *testing.T) {
	t.Parallel()
	for commits, code := range map[bool]int{true: 201, false: 0} {
		s := newSite(t, oneRoute(atOnce()), finishesIn(t, transaction{commits}, 0))
		if r := s.try(t.Context(), post("k", "{}")); r.err == nil {
			t.Errorf("got %s of a handler that panicked", r)
		}
		if r := s.try(t.Context(), post("k", "{}")); r.code != code {
			t.Errorf("committed %v: got %s, want %d", commits, r, code)
		}
	}
}

// TestTransactionAfterTheAnswerFlows: what its client has seen of an answer is recorded as done already.
func TestTransactionAfterTheAnswerFlows(t *testing.T) {
	t.Parallel()
	p := atOnce()
	p.Limits.ResponseBody = 10
	for what, answer := range map[string]func(w http.ResponseWriter){
		"too long": func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, 11)) },
		"a stream": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
		},
	} {
		s := newSite(t, oneRoute(p), func(w http.ResponseWriter, r *http.Request) {
			answer(w)
			err := refrain.FromContext(r.Context()).FinishTx(r.Context(), transaction{commits: true}, refrain.Outcome{})
			if !errors.Is(err, refrain.ErrStale) {
				t.Errorf("%s: got error %v of FinishTx, want %v", what, err, refrain.ErrStale)
			}
		})
		s.do(post("k", "{}"))
		if r := s.do(post("k", "{}")); r.problem().Code != "not-replayable" {
			t.Errorf("%s: got %s, want word that it is done", what, r)
		}
		s.ran(1)
	}
}

// TestBatchesHaveNoTransaction: a handler of many operations cannot record one answer for them all.
func TestBatchesHaveNoTransaction(t *testing.T) {
	t.Parallel()
	b := newBank()
	s := newSite(t, oneRoute(batched()), func(w http.ResponseWriter, r *http.Request) {
		err := refrain.FromContext(r.Context()).FinishTx(r.Context(), transaction{commits: true}, refrain.Outcome{})
		if !errors.Is(err, refrain.ErrNoTx) {
			t.Errorf("FinishTx: got error %v, want %v", err, refrain.ErrNoTx)
		}
		b.ServeHTTP(w, r)
	})
	first := s.do(transfers("a", "bb"))
	s.same(first, s.do(transfers("a", "bb")))
	s.ran(1)
}
