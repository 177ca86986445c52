package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/refrain-dev/refrain"
)

// smallPebble rotates its log and flushes and compacts its tables all the time.
func smallPebble(o *pebble.Options) {
	o.MemTableSize = 32 << 10
	o.L0CompactionThreshold = 2
	o.CacheSize = 64 << 10
	o.Experimental.FileCacheShards = 1
}

// A ledger is a workload on a few operations and what it was told about them: by the answers to its own calls and by what
// concurrent readers saw. Whatever it was told must never be taken back.
type ledger struct {
	mu    sync.Mutex
	facts []fact
}

// A fact is what is known of one operation.
type fact struct {
	id       refrain.ID
	fence    uint64        // of the newest claim that anyone was told of
	state    refrain.State // the furthest state of that claim that anyone was told of
	released uint64        // the newest claim whose release was tried
}

// busy is how many operations are worked on at a time.
const busy = 12

func newLedger() *ledger {
	l := new(ledger)
	for range busy {
		l.add()
	}
	return l
}

// add begins with a new operation, the oldest of the busy ones being left alone from then on.
func (l *ledger) add() {
	l.mu.Lock()
	defer l.mu.Unlock()
	var f fact
	fillRandom(f.id[:])
	l.facts = append(l.facts, f)
}

// pick returns a random operation, one of the busy ones or of all.
func (l *ledger) pick(rng *rand.Rand, among int) (int, refrain.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := len(l.facts) - 1 - rng.IntN(min(among, len(l.facts)))
	return i, l.facts[i].id
}

// learn takes down what somebody was told.
func (l *ledger) learn(i int, r refrain.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := &l.facts[i]
	switch {
	case r.State == refrain.StateAbsent:
	case r.Fence > f.fence:
		f.fence, f.state = r.Fence, r.State
	case r.Fence == f.fence:
		f.state = max(f.state, r.State)
	}
}

func (l *ledger) releasing(i int, fence uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.facts[i].released = max(l.facts[i].released, fence)
}

// told returns what is known by now: of the newest operations, and of some of the older ones, which have been left alone.
func (l *ledger) told() (facts []fact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := max(len(l.facts)-busy, 0)
	for i := 0; i < old; i += max(old/4, 1) {
		facts = append(facts, l.facts[i])
	}
	return append(facts, l.facts[old:]...)
}

// check reports how the record contradicts what is known.
func (f *fact) check(r refrain.Record) error {
	switch {
	case r.State == refrain.StateAbsent:
		if f.released < f.fence {
			return fmt.Errorf("got nothing, want claim %d, which was %v", f.fence, f.state)
		}
		return nil
	case r.Fence < f.fence:
		return fmt.Errorf("got claim %d, want %d or later", r.Fence, f.fence)
	case r.Fence == f.fence && r.State < f.state:
		return fmt.Errorf("got claim %d as %v, want it %v", r.Fence, r.State, f.state)
	}
	return checkOutcome(r)
}

// checkOutcome checks that a record carries the bytes that belong to its claim.
func checkOutcome(r refrain.Record) error {
	if r.State != refrain.StateDone {
		return nil
	}
	if r.Outcome == nil || !bytes.Equal(r.Outcome.Body, bodyOf(r.Token)) {
		return fmt.Errorf("got %+v as the outcome of token %x, want its own", r.Outcome, r.Token)
	}
	return nil
}

// bodyOf returns the body of a claim, of a length that depends on it.
func bodyOf(t refrain.Token) []byte { return bytes.Repeat(t[:], int(t[0])%40+1) }

// checkFacts checks a store against what was known when it was cut off.
func checkFacts(s *Store, facts []fact) error {
	for _, f := range facts {
		r, err := s.Get(context.Background(), f.id)
		if err != nil {
			return err
		}
		if err := f.check(r); err != nil {
			return fmt.Errorf("%s: %w", f.id, err)
		}
	}
	return nil
}

// work claims, ends and reads operations until ctx ends or the store fails, and returns why.
func (l *ledger) work(ctx context.Context, s *Store, rng *rand.Rand) error {
	for ctx.Err() == nil {
		var err error
		if rng.IntN(3) == 0 {
			err = l.read(ctx, s, rng)
		} else {
			err = l.run(ctx, s, rng)
		}
		if err != nil && !errors.Is(err, refrain.ErrStale) {
			return err
		}
	}
	return nil
}

func (l *ledger) read(ctx context.Context, s *Store, rng *rand.Rand) error {
	i, id := l.pick(rng, 8*busy)
	r, err := s.Get(ctx, id)
	if err == nil {
		l.learn(i, r)
		err = checkOutcome(r)
	}
	return err
}

func (l *ledger) run(ctx context.Context, s *Store, rng *rand.Rand) error {
	i, id := l.pick(rng, busy)
	c := refrain.Claim{ID: id, Lease: time.Hour, Rerun: true}
	fillRandom(c.Token[:])
	d, err := s.Claim(ctx, c)
	if err != nil {
		return err
	}
	l.learn(i, d.Record)
	if d.Verdict != refrain.Run {
		return checkOutcome(d.Record)
	}
	e := refrain.Settlement{
		ID: c.ID, Token: c.Token, Ending: refrain.Finished, Retention: time.Hour, Tombstone: time.Hour,
		Outcome: &refrain.Outcome{Status: 201, Body: bodyOf(c.Token)},
	}
	switch rng.IntN(20) {
	case 0:
		l.add() // this one is done, for good
	case 1, 2, 3:
		e.Ending = refrain.Undecided
	default:
		e.Ending, e.Outcome = refrain.Released, nil
		l.releasing(i, d.Record.Fence)
	}
	r, err := s.Settle(ctx, e)
	if err == nil {
		l.learn(i, r)
	}
	return err
}

// workers has several workers at the store and waits until all have ended.
func (l *ledger) workers(ctx context.Context, s *Store, n int, seed uint64) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = l.work(ctx, s, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// testLogger shows what the store logs if the test fails.
func testLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// eventually polls the condition until it holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
