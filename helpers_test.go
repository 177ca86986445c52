package refrain_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

// virtual runs a test in virtual time, in which it also fails when it leaves a goroutine behind.
func virtual(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d) }

// guard returns a guard that the test closes at its end.
func guard(t *testing.T, s refrain.Store, cfg refrain.Config) *refrain.Guard {
	t.Helper()
	g, err := refrain.New(s, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		if err := g.Close(ctx); err != nil && !errors.Is(err, refrain.ErrUnrecorded) {
			t.Errorf("Close: %v", err)
		}
		if flights, draining := g.Busy(); flights != 0 || draining {
			t.Errorf("a closed guard: got %d flights, draining %v, want nothing left", flights, draining)
		}
	})
	return g
}

func operation(key string) refrain.Operation {
	return refrain.Operation{Scope: refrain.Scope{Principal: "alice", Route: "POST /charges"}, Key: key}
}

// begin wants the verdict.
func begin(t *testing.T, g *refrain.Guard, op refrain.Operation, want refrain.Verdict) *refrain.Attempt {
	t.Helper()
	a, err := g.Begin(context.Background(), op)
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	if a.Verdict != want {
		t.Fatalf("Begin: got verdict %v, want %v", a.Verdict, want)
	}
	return a
}

func finish(t *testing.T, a *refrain.Attempt, body string) {
	t.Helper()
	if err := a.Finish(context.Background(), refrain.Outcome{Status: 201, Body: []byte(body)}); err != nil {
		t.Fatalf("Finish: %v", err)
	}
}

// replayed wants the operation to be replayed with the body.
func replayed(t *testing.T, g *refrain.Guard, op refrain.Operation, body string) *refrain.Attempt {
	t.Helper()
	a := begin(t, g, op, refrain.Replay)
	if got := string(a.Record.Outcome.Body); got != body {
		t.Fatalf("got the outcome %q, want %q", got, body)
	}
	return a
}

// A faulty store is a memstore that a test can break while it is used.
type faulty struct {
	refrain.Store
	// mode says what becomes of each kind of call. It may change at any time.
	claimMode, settleMode, renewMode atomic.Int32

	claims, settles, renews atomic.Int64
	decided                 atomic.Int64 // claims that were answered
}

// The modes of a faulty store.
const (
	works      int32 = iota
	refuses          // an error at once, and nothing happened
	hangs            // no answer before the context ends, and nothing happened
	losesReply       // it happened, but the answer is an error
)

var errBroken = errors.New("connection reset")

func newFaulty() *faulty { return &faulty{Store: memstore.New(memstore.Config{})} }

func (f *faulty) fail(mode int32) {
	f.claimMode.Store(mode)
	f.settleMode.Store(mode)
	f.renewMode.Store(mode)
}

// pass makes the call as the mode says.
func (f *faulty) pass(ctx context.Context, mode int32, call func() error) error {
	switch mode {
	case refuses:
		return errBroken
	case hangs:
		<-ctx.Done()
		return ctx.Err()
	case losesReply:
		_ = call()
		return errBroken
	}
	return call()
}

func (f *faulty) Claim(ctx context.Context, c refrain.Claim) (d refrain.Decision, err error) {
	f.claims.Add(1)
	defer f.decided.Add(1)
	err = f.pass(ctx, f.claimMode.Load(), func() (err error) { d, err = f.Store.Claim(ctx, c); return err })
	return d, err
}

func (f *faulty) Settle(ctx context.Context, s refrain.Settlement) (r refrain.Record, err error) {
	f.settles.Add(1)
	err = f.pass(ctx, f.settleMode.Load(), func() (err error) { r, err = f.Store.Settle(ctx, s); return err })
	return r, err
}

func (f *faulty) Renew(ctx context.Context, r refrain.Renewal) error {
	f.renews.Add(1)
	return f.pass(ctx, f.renewMode.Load(), func() error { return f.Store.Renew(ctx, r) })
}

// events counts what a guard tells its observer.
type events struct {
	mu   sync.Mutex
	seen []refrain.Event
}

func (e *events) Observe(ev refrain.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = append(e.seen, ev)
}

func (e *events) count(kind refrain.EventKind) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.seen {
		if ev.Kind == kind {
			n++
		}
	}
	return n
}

// A memoryJournal is a journal that outlives its guard.
type memoryJournal struct {
	mu      sync.Mutex
	entries []refrain.JournalEntry
	broken  error
}

func (j *memoryJournal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = err
}

func (j *memoryJournal) len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.entries)
}

func (j *memoryJournal) Append(e refrain.JournalEntry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken == nil {
		j.entries = append(j.entries, e)
	}
	return j.broken
}

func (j *memoryJournal) Remove(id refrain.ID, token refrain.Token) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, e := range j.entries {
		if e.ID == id && e.Record.Token == token {
			j.entries = append(j.entries[:i:i], j.entries[i+1:]...)
			return nil
		}
	}
	return errors.New("no such entry")
}

func (j *memoryJournal) Entries() ([]refrain.JournalEntry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.entries, j.broken
}

func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
