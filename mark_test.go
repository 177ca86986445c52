package refrain_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
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
		if err != nil || len(listed) != 3 {
			t.Errorf("got %d records, %v, want two for a mark that was raised again, and one for one that was not", len(listed), err)
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
						before := known.Load()
						n := (before + uint64(rnd(4))) * uint64(rnd(2)) // or what it is
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
	gets    atomic.Int64
	settles atomic.Int64 // how many still work
	broken  bool         // nothing can be claimed
	hop     func()       // after the next Get, once
}

func (h *hopping) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	if h.broken {
		return refrain.Decision{}, errLost
	}
	return h.Store.Claim(ctx, c)
}

func (h *hopping) Settle(ctx context.Context, s refrain.Settlement) (refrain.Record, error) {
	if h.settles.Add(-1) < 0 {
		return refrain.Record{}, errLost
	}
	return h.Store.Settle(ctx, s)
}

func (h *hopping) Get(ctx context.Context, id refrain.ID) (refrain.Record, error) {
	h.gets.Add(1)
	r, err := h.Store.Get(ctx, id)
	if hop := h.hop; hop != nil {
		h.hop = nil
		hop()
	}
	return r, err
}

// TestMarkIsOfOneMoment moves the mark from the second record to the first while it is read: the first was read when it still
// held a small number, the second when that had been taken away and nothing was there yet.
func TestMarkIsOfOneMoment(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := &hopping{Store: memstore.New(memstore.Config{})}
		store.settles.Store(99)
		g := guard(t, store, refrain.Config{})
		for _, n := range []uint64{1, 2, 10} { // in the second record, the first, the second
			raise(t, g, buyer, n)
			synctest.Wait()
		}
		store.hop = func() {
			raise(t, g, buyer, 20)
			synctest.Wait()
			store.broken = true
			if _, _, err := g.Raise(t.Context(), buyer, 30); !errors.Is(err, refrain.ErrUnavailable) {
				t.Errorf("got error %v, want that the store is away", err)
			}
			store.broken = false
		}
		if _, mark := raise(t, guard(t, store, refrain.Config{}), buyer, 0); mark < 10 {
			t.Errorf("got the mark %d, want no less than it was before", mark)
		}
	})
}

// TestMarkThatStands reads a mark again and again, while another process raises it: a mark that has not moved costs one read.
func TestMarkThatStands(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := &hopping{Store: memstore.New(memstore.Config{})}
		store.settles.Store(99)
		g, other := guard(t, store, refrain.Config{}), guard(t, store, refrain.Config{})
		raise(t, g, buyer, 1)
		for n := range uint64(20) {
			raise(t, other, buyer, n)
			synctest.Wait()
			raise(t, g, buyer, 0)
			before := store.gets.Load()
			if _, mark := raise(t, g, buyer, n); mark != max(n, 1) {
				t.Errorf("got the mark %d, want %d", mark, n)
			}
			if gets := store.gets.Load() - before; n > 1 && gets != 1 {
				t.Errorf("mark %d: read %d times, want one", n, gets)
			}
		}
	})
}

// TestMarkHasMovedTwice reads a mark that was seen in a record when it is in the same one again, with the other one absent as it
// was then: another process has died before it wrote.
func TestMarkHasMovedTwice(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := &hopping{Store: memstore.New(memstore.Config{})}
		store.settles.Store(99)
		g, other := guard(t, store, refrain.Config{}), guard(t, store, refrain.Config{})
		raise(t, g, buyer, 1)
		raise(t, other, buyer, 2)
		synctest.Wait()
		raise(t, other, buyer, 3)
		synctest.Wait()
		store.broken = true
		if _, _, err := other.Raise(t.Context(), buyer, 4); err == nil {
			t.Error("got no error from a store that is away")
		}
		store.broken = false
		if _, mark := raise(t, g, buyer, 0); mark != 3 {
			t.Errorf("got the mark %d, want 3", mark)
		}
	})
}

// TestMarksOfLongScopes raises the marks of callers with credentials as long as a header may be.
func TestMarksOfLongScopes(t *testing.T) {
	t.Parallel()
	g := guard(t, memstore.New(memstore.Config{}), refrain.Config{})
	credential := strings.Repeat("x", 60<<10)
	for i := range 500 {
		scope := refrain.Scope{Principal: fmt.Sprint(credential, i)}
		for range 2 {
			if _, mark := raise(t, g, scope, 7); mark != 7 {
				t.Fatalf("got the mark %d, want 7", mark)
			}
		}
		if n := g.MarkBytes(); n == 0 || n > 8<<20 {
			t.Fatalf("got %d bytes of scopes after %d of them, want some, and not many", n, i+1)
		}
	}
}

// TestForget forgets what is done, and leaves what runs.
func TestForget(t *testing.T) {
	onPrograms(t, func(t *testing.T, g, _ *refrain.Guard) {
		ctx := context.Background()
		op, other := operation("k1"), operation("k3")
		running := begin(t, g, op, refrain.Run)
		finish(t, begin(t, g, other, refrain.Run), "paid")
		forget := func() {
			g.Forget(op.Scope, slices.Values([][]byte{[]byte(op.Key), []byte("k2"), []byte(other.Key)}))
			synctest.Wait()
		}
		forget()
		begin(t, g, op, refrain.InFlight)
		finish(t, begin(t, g, other, refrain.Run), "paid again")
		finish(t, running, "paid")
		forget()
		for _, op := range []refrain.Operation{op, other} {
			if err := begin(t, g, op, refrain.Run).Release(ctx); err != nil {
				t.Fatal(err)
			}
		}
	})
}
