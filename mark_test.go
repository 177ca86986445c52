package refrain_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

var buyer = refrain.Scope{Principal: "alice", Route: "POST /charges"}

func raise(t *testing.T, g *refrain.Guard, scope refrain.Scope, n uint64) (was, mark uint64) {
	t.Helper()
	was, mark, err := g.Raise(context.Background(), scope, n)
	if err != nil {
		t.Fatalf("Raise(%d): %v", n, err)
	}
	return was, mark
}

func TestMarkOnlyRises(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := memstore.New(memstore.Config{})
		g := guard(t, store, refrain.Config{})
		for _, step := range []struct{ n, was, mark uint64 }{
			{0, 0, 0}, {5, 0, 5}, {5, 5, 5}, {3, 5, 5}, {1 << 63, 5, 1 << 63}, {6, 1 << 63, 1 << 63},
		} {
			if was, mark := raise(t, g, buyer, step.n); was != step.was || mark != step.mark {
				t.Errorf("Raise(%d): got %d, then %d, want %d, then %d", step.n, was, mark, step.was, step.mark)
			}
			pass(time.Hour)
		}
		if was, _ := raise(t, g, refrain.Scope{Principal: "bob", Route: buyer.Route}, 1); was != 0 {
			t.Errorf("another principal: got the mark %d, want 0", was)
		}
		synctest.Wait()
		listed, err := store.List(context.Background(), refrain.ListQuery{})
		if err != nil || len(listed) != 2 {
			t.Errorf("got %d records, %v, want one for each mark", len(listed), err)
		}
		for _, l := range listed {
			if l.Record.State != refrain.StateDone || !l.Record.IsMark() {
				t.Errorf("got a mark that is %s (mark: %t), want it to look like no operator's business", l.Record.State, l.Record.IsMark())
			}
		}
	})
}

// A forgetful store loses answers: what it was asked for has happened or not.
type forgetful struct {
	refrain.Store
	rnd    func(n int) int
	quiet  atomic.Bool
	pauses bool
}

var errLost = errors.New("lost")

func (f *forgetful) chance(n int) bool { return !f.quiet.Load() && f.rnd(n) == 0 }

func (f *forgetful) pause() {
	if f.pauses && f.chance(2) {
		time.Sleep(time.Duration(f.rnd(1000)) * time.Millisecond)
	}
}

func (f *forgetful) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	f.pause()
	if f.chance(20) {
		return refrain.Decision{}, errLost
	}
	d, err := f.Store.Claim(ctx, c)
	f.pause()
	if f.chance(20) {
		return refrain.Decision{}, errLost
	}
	return d, err
}

func (f *forgetful) Settle(ctx context.Context, s refrain.Settlement) (refrain.Record, error) {
	f.pause()
	if f.chance(20) {
		return refrain.Record{}, errLost
	}
	r, err := f.Store.Settle(ctx, s)
	if f.chance(20) {
		return refrain.Record{}, errLost
	}
	return r, err
}

func (f *forgetful) Get(ctx context.Context, id refrain.ID) (refrain.Record, error) {
	f.pause()
	r, err := f.Store.Get(ctx, id)
	f.pause()
	return r, err
}

// TestMarkNeverFalls has several guards, as many processes, raise one mark at the same time, over a store that takes its time
// and loses answers: no Raise returns less than one that had returned before it began.
func TestMarkNeverFalls(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	t.Parallel()
	for round := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			random := rand.New(rand.NewPCG(seed, round))
			rnd := func(n int) int {
				mu.Lock()
				defer mu.Unlock()
				return random.IntN(n)
			}
			store := &forgetful{Store: memstore.New(memstore.Config{}), rnd: rnd, pauses: true}
			var known atomic.Uint64 // the greatest mark that a Raise has returned
			var wg sync.WaitGroup
			for range 4 {
				g := guard(t, store, refrain.Config{StoreTimeout: time.Minute})
				wg.Go(func() {
					for range 12 {
						before, n := known.Load(), known.Load()+uint64(rnd(4))
						_, mark, err := g.Raise(context.Background(), buyer, n)
						if err != nil {
							continue
						}
						if mark < before || mark < n {
							t.Errorf("seed %d round %d: Raise(%d): got %d, but the mark was %d before", seed, round, n, mark, before)
						}
						mu.Lock()
						if mark > known.Load() {
							known.Store(mark)
						}
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			store.quiet.Store(true)
			g := guard(t, store, refrain.Config{})
			if _, mark := raise(t, g, buyer, 0); mark < known.Load() {
				t.Errorf("seed %d round %d: at the end got %d, want at least %d", seed, round, mark, known.Load())
			}
			synctest.Wait()
		})
	}
}

// TestMarkIsNoOperatorsBusiness: neither one that is done nor one whose process died while it was written can be resolved, for a
// mark that falls lets numbers run again.
func TestMarkIsNoOperatorsBusiness(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := &hopping{Store: memstore.New(memstore.Config{})}
		g := guard(t, store, refrain.Config{})
		for _, step := range []struct {
			settles int64
			state   refrain.State
		}{{9, refrain.StateDone}, {0, refrain.StateUnknown}} {
			store.settles.Store(step.settles)
			raise(t, g, buyer, 5)
			raise(t, g, refrain.Scope{Principal: step.state.String()}, 5)
			pass(time.Hour)
			store.settles.Store(9)
			listed, err := store.Store.(refrain.Lister).List(t.Context(), refrain.ListQuery{State: step.state})
			if err != nil || len(listed) == 0 {
				t.Fatalf("got no mark that is %s, and error %v", step.state, err)
			}
			for _, l := range listed {
				for _, e := range []refrain.Ending{refrain.Finished, refrain.Released, refrain.Forgotten} {
					resolve(t, g, l.ID, refrain.Resolution{Fence: l.Record.Fence, Ending: e}, refrain.ErrWrongState)
				}
			}
		}
		if _, mark := raise(t, g, buyer, 0); mark != 5 {
			t.Errorf("got the mark %d, want 5", mark)
		}
	})
}

// A hopping store lets the mark move while it is read.
type hopping struct {
	refrain.Store
	settles atomic.Int64 // how many still work
	hop     func()       // after the next Get, once
}

func (h *hopping) Settle(ctx context.Context, s refrain.Settlement) (refrain.Record, error) {
	if h.settles.Add(-1) < 0 {
		return refrain.Record{}, errLost
	}
	return h.Store.Settle(ctx, s)
}

func (h *hopping) Get(ctx context.Context, id refrain.ID) (refrain.Record, error) {
	r, err := h.Store.Get(ctx, id)
	if hop := h.hop; hop != nil {
		h.hop = nil
		hop()
	}
	return r, err
}

// TestMarkIsOfOneMoment moves the mark from the second record to the first while it is read: the first was read when it still
// held a small number that nobody had taken away, the second when it held nothing any more.
func TestMarkIsOfOneMoment(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := &hopping{Store: memstore.New(memstore.Config{})}
		g := guard(t, store, refrain.Config{})
		for _, step := range []struct {
			n       uint64
			settles int64
		}{{1, 9}, {2, 0}, {10, 1}} { // to the second record, to the first, to the second: the 2 stays in the first
			store.settles.Store(step.settles)
			raise(t, g, buyer, step.n)
			synctest.Wait()
		}
		store.settles.Store(9)
		store.hop = func() {
			raise(t, g, buyer, 20)
			synctest.Wait()
		}
		if _, mark := raise(t, g, buyer, 0); mark < 10 {
			t.Errorf("got the mark %d, want no less than it was before", mark)
		}
	})
}

func TestForget(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, memstore.New(memstore.Config{}), refrain.Config{})
		ctx := context.Background()
		op := operation("k1")
		running := begin(t, g, op, refrain.Run)
		if err := g.Forget(ctx, op.Scope, op.Key); err != nil {
			t.Fatal(err)
		}
		begin(t, g, op, refrain.InFlight)
		finish(t, running, "paid")
		if err := g.Forget(ctx, op.Scope, op.Key); err != nil {
			t.Fatal(err)
		}
		if err := begin(t, g, op, refrain.Run).Release(ctx); err != nil {
			t.Fatal(err)
		}
	})
}
