package storetest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/refrain-dev/refrain"
)

// testMark has several guards, as many processes, raise one high-water mark at the same time: it never falls.
func testMark(t *testing.T, open func(t *testing.T) refrain.Store) {
	s := opened(t, open)
	id := randomID()
	scope := refrain.Scope{Principal: string(id[:]), Route: "mark"}
	var known atomic.Uint64 // no less than any mark that was returned, until the last one
	var wg sync.WaitGroup
	for range 4 {
		g := newGuard(t, s)
		wg.Go(func() {
			for i := range uint64(10) {
				before := known.Load()
				_, mark, err := g.Raise(context.Background(), scope, before+i%3)
				if err != nil {
					t.Errorf("Raise: %v", err)
					return
				}
				if mark < before+i%3 {
					t.Errorf("Raise(%d): got %d, but the mark was %d before", before+i%3, mark, before)
				}
				rise(&known, mark)
			}
		})
	}
	wg.Wait()
	if was, mark, err := newGuard(t, s).Raise(context.Background(), scope, 0); err != nil || was != mark || mark < known.Load() {
		t.Errorf("at the end: got %d, then %d, %v, want %d", was, mark, err, known.Load())
	}
}

// rise makes the value at least n.
func rise(v *atomic.Uint64, n uint64) {
	for {
		if now := v.Load(); now >= n || v.CompareAndSwap(now, n) {
			return
		}
	}
}

func newGuard(t *testing.T, s refrain.Store) *refrain.Guard {
	t.Helper()
	g, err := refrain.New(s, refrain.Config{StoreTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(context.Background()); err != nil {
			t.Errorf("closing the guard: %v", err)
		}
	})
	return g
}
