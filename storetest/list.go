package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/refrain-dev/refrain"
)

// testList checks what a store that is a refrain.Lister lists, also after a restart. The store may hold other operations: only
// those of the test are looked at.
func testList(t *testing.T, open func(t *testing.T) refrain.Store) {
	s := opened(t, open)
	if _, ok := s.(refrain.Lister); !ok {
		t.Skip("the store is no refrain.Lister")
	}
	x := newSubject(t, s)
	t.Run("every state", func(t *testing.T) { testListStates(t, opened(t, open)) })
	t.Run("page by page", func(t *testing.T) { testListPages(t, s) })
	t.Run("what changes meanwhile", func(t *testing.T) { testListUnderLoad(t, s) })
	t.Run("cancelled", func(t *testing.T) {
		x.running()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := s.(refrain.Lister).List(ctx, refrain.ListQuery{}); err == nil {
			t.Error("got no error of a list whose caller has left")
		}
	})
	t.Run("closed", func(t *testing.T) {
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		if _, err := s.(refrain.Lister).List(x.ctx(), refrain.ListQuery{}); !errors.Is(err, refrain.ErrClosed) {
			t.Errorf("got error %v, want %v", err, refrain.ErrClosed)
		}
	})
}

func testListStates(t *testing.T, s refrain.Store) {
	w := newWorld(t, s)
	w.listed(t)
	if r, ok := s.(Reopener); ok {
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		again := r.Reopen(t)
		defer again.Close()
		w.moveTo(again)
		w.listed(t)
	}
}

// listed checks that every operation is in the list of its state and in that of all, as Get has it, and in no other.
func (w *world) listed(t *testing.T) {
	t.Helper()
	w.expired.await(refrain.StateExpired)
	for state := refrain.StateAbsent; state <= refrain.StateExpired; state++ {
		w.among(t, state, list(w.done, refrain.ListQuery{State: state, Limit: 3}))
	}
	if s, ok := w.done.s.(refrain.Walker); ok {
		all := make(map[refrain.ID]refrain.Record)
		if err := s.Walk(w.done.ctx(), func(l refrain.Listed) { all[l.ID] = l.Record }); err != nil {
			t.Errorf("Walk: %v", err)
		}
		w.among(t, refrain.StateAbsent, all)
	}
}

// among checks a list of those in a state.
func (w *world) among(t *testing.T, state refrain.State, got map[refrain.ID]refrain.Record) {
	t.Helper()
	want := map[*subject]refrain.State{
		w.running: refrain.StateRunning, w.lapsed: refrain.StateUnknown, w.unknown: refrain.StateUnknown,
		w.done: refrain.StateDone, w.expired: refrain.StateExpired, w.released: refrain.StateAbsent,
		w.takenOver: refrain.StateRunning,
	}
	for x, own := range want {
		r, found := got[x.id]
		if wanted := own != refrain.StateAbsent && (state == refrain.StateAbsent || state == own); found != wanted {
			t.Errorf("an operation that is %v in the list of state %v: got %v, want %v", own, state, found, wanted)
		}
		full := x.get(own)
		full.Outcome = nil
		if found && !same(r, full) {
			t.Errorf("got %s, want %s without its outcome", describe(r), describe(full))
		}
	}
}

// list returns all that the query asks for, from one page to the next, and checks their order.
func list(x *subject, q refrain.ListQuery) map[refrain.ID]refrain.Record {
	x.t.Helper()
	all := make(map[refrain.ID]refrain.Record)
	for {
		page, err := x.s.(refrain.Lister).List(x.ctx(), q)
		switch {
		case err != nil:
			x.t.Fatalf("List: %v", err)
		case len(page) > q.Limit:
			x.t.Fatalf("List: got %d operations, want at most %d", len(page), q.Limit)
		}
		for _, l := range page {
			if bytes.Compare(l.ID[:], q.From[:]) < 0 {
				x.t.Fatalf("List: got %x, which is before %x", l.ID, q.From)
			}
			all[l.ID] = l.Record
			q.From = after(l.ID)
		}
		if len(page) < q.Limit {
			return all
		}
	}
}

// after returns the ID that follows.
func after(id refrain.ID) refrain.ID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			break
		}
	}
	return id
}

// testListPages lists many unknown operations in pages of all sizes, around the sizes at which pages begin and end.
func testListPages(t *testing.T, s refrain.Store) {
	var want []refrain.ID
	x := newSubject(t, s)
	for i := range 50 {
		y := x.other()
		token := y.running()
		if i%2 == 0 {
			y.settle(undecided(token, outcome("503")), nil)
			want = append(want, y.id)
		}
	}
	slices.SortFunc(want, func(a, b refrain.ID) int { return bytes.Compare(a[:], b[:]) })
	for _, limit := range []int{1, 7, len(want) - 1, len(want), len(want) + 1, 1000} {
		got := list(x, refrain.ListQuery{State: refrain.StateUnknown, Limit: limit})
		for _, id := range want {
			if _, ok := got[id]; !ok {
				t.Errorf("pages of %d: %x is in none", limit, id)
			}
		}
	}
	page, err := s.(refrain.Lister).List(x.ctx(), refrain.ListQuery{State: refrain.StateUnknown, From: want[20], Limit: 1})
	if err != nil || len(page) != 1 || page[0].ID != want[20] {
		t.Errorf("a page from an operation on: got %v and error %v, want that operation", page, err)
	}
}

// testListUnderLoad lists while operations come and go: those that stay are always listed.
func testListUnderLoad(t *testing.T, s refrain.Store) {
	stays := newSubject(t, s)
	stays.settle(undecided(stays.running(), nil), nil)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				x := newSubject(t, s)
				token := x.running()
				x.settle(undecided(token, nil), nil)
				x.settle(instead(release(token)), nil)
			}
		})
	}
	for range 20 {
		if _, ok := list(stays, refrain.ListQuery{State: refrain.StateUnknown, Limit: 10})[stays.id]; !ok {
			t.Error("an unknown operation is not listed")
		}
	}
	close(stop)
	all.Wait()
}
