package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/refrain-dev/refrain"
)

// testClose checks that a closed store says so, and that closing it under load loses nobody.
func testClose(t *testing.T, open func(t *testing.T) refrain.Store) {
	t.Run("a closed store says so", func(t *testing.T) {
		x := newSubject(t, open(t))
		token := x.running()
		if err := x.s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		s := finish(token, "paid")
		s.ID = x.id
		_, claimed := x.s.Claim(x.ctx(), x.request())
		_, settled := x.s.Settle(x.ctx(), s)
		_, got := x.s.Get(x.ctx(), x.id)
		renewed := x.s.Renew(x.ctx(), refrain.Renewal{ID: x.id, Token: token, Lease: long})
		for call, err := range map[string]error{"Claim": claimed, "Settle": settled, "Get": got, "Renew": renewed} {
			if !errors.Is(err, refrain.ErrClosed) {
				t.Errorf("%s: got error %v, want %v", call, err, refrain.ErrClosed)
			}
		}
		if err := x.s.Close(); err != nil && !errors.Is(err, refrain.ErrClosed) {
			t.Errorf("the second Close: got error %v, want none or %v", err, refrain.ErrClosed)
		}
	})
	t.Run("calls under way end", func(t *testing.T) {
		s := open(t)
		acknowledged := closeUnderLoad(t, s)
		if r, ok := s.(Reopener); ok {
			again := r.Reopen(t)
			defer again.Close()
			for _, x := range acknowledged {
				x.t, x.s = t, again
				x.get(refrain.StateDone)
			}
		}
	})
}

// closeUnderLoad closes the store while many use it, and returns the operations whose finish was acknowledged.
func closeUnderLoad(t *testing.T, s refrain.Store) []*subject {
	t.Helper()
	var mu sync.Mutex
	var acknowledged []*subject
	underWay := make(chan struct{}, crowd)
	var all sync.WaitGroup
	for i := range crowd {
		all.Go(func() {
			for n := 0; ; n++ {
				x := newSubject(t, s)
				err := x.cycle(x.ctx(), fmt.Sprint(i, n), false)
				if err != nil {
					if !errors.Is(err, refrain.ErrUnavailable) {
						t.Errorf("a call while the store closes: got error %v, want an ErrUnavailable", err)
					}
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, x)
				mu.Unlock()
				if n == 0 {
					underWay <- struct{}{}
				}
			}
		})
	}
	for range crowd {
		<-underWay
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	all.Wait()
	return acknowledged
}

// testRestart checks that a durable store knows after a restart what it knew before.
func testRestart(t *testing.T, open func(t *testing.T) refrain.Store) {
	s := open(t)
	r, ok := s.(Reopener)
	if !ok {
		_ = s.Close()
		t.Skip("the store does not outlive Close: it is no Reopener")
	}
	w := newWorld(t, s)
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	again := r.Reopen(t)
	defer again.Close()
	w.moveTo(again)
	w.check()
}

// A world is one operation in every state.
type world struct {
	running, lapsed, unknown, done, expired, released, takenOver *subject

	runningToken, unknownToken, oldToken refrain.Token
	runningRecord                        refrain.Record
	fences                               map[*subject]uint64
}

func newWorld(t *testing.T, s refrain.Store) *world {
	t.Helper()
	x := newSubject(t, s)
	w := &world{
		running: x.other(), lapsed: x.other(), unknown: x.other(), done: x.other(),
		expired: x.other(), released: x.other(), takenOver: x.other(),
	}
	w.runningToken = w.running.running()
	w.runningRecord = w.running.get(refrain.StateRunning)
	w.unknownToken = w.unknown.running()
	w.unknown.settle(undecided(w.unknownToken, outcome("503")), nil)
	w.done.done("paid")
	tombstone := finish(w.expired.running(), "old")
	tombstone.Retention = short
	w.expired.settle(tombstone, nil)
	released := w.released.run()
	w.released.settle(release(released.Record.Token), nil)
	w.oldToken = w.takenOver.running()
	w.takenOver.settle(undecided(w.oldToken, nil), nil)
	takenOver := w.takenOver.claim(w.takenOver.rerun(), refrain.Run)
	lapsed := w.lapsed.lapsed()
	w.fences = map[*subject]uint64{
		w.released: released.Record.Fence, w.takenOver: takenOver.Record.Fence, w.lapsed: lapsed.Record.Fence,
	}
	return w
}

func (w *world) moveTo(s refrain.Store) {
	for _, x := range []*subject{w.running, w.lapsed, w.unknown, w.done, w.expired, w.released, w.takenOver} {
		x.s = s
	}
}

// check checks that every operation is where it was, and that fences go on growing.
func (w *world) check() {
	w.running.t.Helper()
	if r := w.running.get(refrain.StateRunning); !same(r, w.runningRecord) {
		w.running.t.Errorf("got %s, want %s", describe(r), describe(w.runningRecord))
	}
	w.running.claim(w.running.request(), refrain.InFlight)
	w.running.settle(finish(w.runningToken, "paid"), nil)
	w.running.wantOutcome(w.running.claim(w.running.request(), refrain.Replay).Record, outcome("paid"))

	w.unknown.wantOutcome(w.unknown.claim(w.unknown.request(), refrain.Unknown).Record, outcome("503"))
	w.unknown.settle(finish(w.unknownToken, "late"), nil)

	w.done.wantOutcome(w.done.claim(w.done.request(), refrain.Replay).Record, outcome("paid"))
	w.done.other().claimAs(w.done, refrain.Mismatch)
	w.expired.becomesTombstone()
	w.takenOver.refuses(w.oldToken)

	w.lapsed.claim(w.lapsed.request(), refrain.Unknown)
	w.takenOver.settle(release(w.takenOver.get(refrain.StateRunning).Token), nil)
	for _, x := range []*subject{w.released, w.takenOver, w.lapsed} {
		if d := x.claim(x.rerun(), refrain.Run); d.Record.Fence <= w.fences[x] {
			x.t.Errorf("got fence %d after the restart, want more than %d", d.Record.Fence, w.fences[x])
		}
	}
}
