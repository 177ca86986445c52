package refrain_test

import (
	"context"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

// spoken is the operation as a program fingerprints it whose newest algorithm is of that version, and which knows those before.
func spoken(newest uint8, text string) refrain.Operation {
	op := operation("k1")
	as := func(version uint8) (refrain.Fingerprint, bool) {
		return sha256.Sum256(append([]byte{version}, text...)), version >= 1 && version <= newest
	}
	op.FingerprintVersion = newest
	op.Fingerprint, _ = as(newest)
	if newest > 1 {
		op.FingerprintAs = as
	}
	return op
}

// onPrograms runs a test with two programs on one store, the second of which has a newer algorithm: on a store that is a
// Peeker, and on one that is not.
func onPrograms(t *testing.T, f func(t *testing.T, old, young *refrain.Guard)) {
	t.Helper()
	t.Parallel()
	for name, open := range map[string]func() refrain.Store{
		"peeker": func() refrain.Store { return memstore.New(memstore.Config{}) },
		"recall": func() refrain.Store { return struct{ refrain.Store }{memstore.New(memstore.Config{})} },
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				s := open()
				f(t, guard(t, s, refrain.Config{}), guard(t, s, refrain.Config{}))
			})
		})
	}
}

func TestOlderFingerprintsStayComparable(t *testing.T) {
	onPrograms(t, func(t *testing.T, old, young *refrain.Guard) {
		a := begin(t, old, spoken(1, "a"), refrain.Run)
		begin(t, young, spoken(2, "a"), refrain.InFlight)
		begin(t, young, spoken(2, "b"), refrain.Mismatch)
		finish(t, a, "done")
		begin(t, young, spoken(2, "b"), refrain.Mismatch) // from the store
		replayed(t, young, spoken(2, "a"), "done")        // from the store
		replayed(t, young, spoken(2, "a"), "done")        // from memory
		begin(t, young, spoken(2, "b"), refrain.Mismatch) // from memory
		replayed(t, old, spoken(1, "a"), "done")
	})
}

func TestUnknownOperationOfAnOlderFingerprintIsRunAgain(t *testing.T) {
	onPrograms(t, func(t *testing.T, old, young *refrain.Guard) {
		first := begin(t, old, spoken(1, "a"), refrain.Run)
		fence := first.Fence()
		if err := first.MarkUnknown(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		rerun := func(text string) refrain.Operation {
			op := spoken(2, text)
			op.Policy = &refrain.Policy{Unknown: refrain.Rerun}
			return op
		}
		begin(t, young, rerun("b"), refrain.Mismatch)
		again := begin(t, young, rerun("a"), refrain.Run)
		if again.Fence() <= fence {
			t.Errorf("got fence %d after %d, want it to grow", again.Fence(), fence)
		}
		finish(t, again, "done")
		replayed(t, old, spoken(1, "a"), "done") // which the old program still understands
	})
}

// What a newer program recorded is neither the same request nor another: it is not run, not shown, and no mismatch either,
// which would make its client run it under a new key.
func TestNewerFingerprintsAreUnknown(t *testing.T) {
	onPrograms(t, func(t *testing.T, old, young *refrain.Guard) {
		a := begin(t, young, spoken(2, "a"), refrain.Run)
		check := func(state string) {
			t.Helper()
			for _, text := range []string{"a", "b"} {
				for _, policy := range []refrain.UnknownPolicy{refrain.Hold, refrain.Rerun, refrain.Probe} {
					op := spoken(1, text)
					op.Policy = &refrain.Policy{Unknown: policy, Quiet: -1}
					op.Probe = func(context.Context, refrain.Record) (refrain.Finding, error) {
						t.Errorf("%s, %s: the upstream was asked", state, text)
						return refrain.Finding{Answer: refrain.DidNotHappen}, nil
					}
					got := begin(t, old, op, refrain.Unknown)
					if got.Record.Outcome != nil || got.Record.Token != (refrain.Token{}) {
						t.Errorf("%s, %s: got %+v, want nothing of the record", state, text, got.Record)
					}
				}
			}
		}
		check("running")
		finish(t, a, "done")
		check("done")
		replayed(t, young, spoken(2, "a"), "done")
	})
}

// A duplicate that waits for another of its process compares as one that asks the store.
func TestFollowersCompareOlderFingerprints(t *testing.T) {
	onPrograms(t, func(t *testing.T, old, young *refrain.Guard) {
		first := begin(t, old, spoken(1, "a"), refrain.Run)
		wait := &refrain.Policy{Wait: time.Minute}
		var group sync.WaitGroup
		for i := range 20 {
			op, want := spoken(2, "a"), refrain.Replay
			if i%2 == 1 {
				op, want = spoken(2, "b"), refrain.Mismatch
			}
			op.Policy = wait
			group.Go(func() {
				a, err := young.Begin(context.Background(), op)
				if err != nil || a.Verdict != want {
					t.Errorf("got %v, %v, want %v", a, err, want)
				}
			})
		}
		pass(time.Second)
		finish(t, first, "done")
		group.Wait()
	})
}

// A store out of its mind gets an answer all the same.
func TestFingerprintsThatKeepChangingEnd(t *testing.T) {
	t.Parallel()
	s := &fickle{Store: memstore.New(memstore.Config{})}
	begin(t, guard(t, s, refrain.Config{}), spoken(9, "a"), refrain.Unknown)
	if s.claims > 5 {
		t.Errorf("got %d claims, want a few", s.claims)
	}
}

// A fickle store has a record of another version each time, always of the same request.
type fickle struct {
	refrain.Store
	claims uint8
}

func (f *fickle) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	f.claims++
	g, err := refrain.New(f.Store, refrain.Config{})
	if err != nil {
		return refrain.Decision{}, err
	}
	op := spoken(1+f.claims%2, "a")
	a, err := g.Begin(ctx, op)
	if err != nil {
		return refrain.Decision{}, err
	}
	defer a.Release(ctx)
	return f.Store.Claim(ctx, c)
}

func TestTheVersionIsInTheRecord(t *testing.T) {
	onPrograms(t, func(t *testing.T, old, young *refrain.Guard) {
		for version, g := range map[uint8]*refrain.Guard{1: old, 2: young} {
			a := begin(t, g, spoken(version, "a"), refrain.Run)
			if got := a.Record.Fingerprint[0]; got != version {
				t.Errorf("got version %d, want %d", got, version)
			}
			if err := a.Release(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
