package mysqlstore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// TestOutage takes the server away in every way. Calls end, say that the store is unavailable, and go through again when it is
// back; what was acknowledged is there.
func TestOutage(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	url := database(t, server)
	s := openStore(t, url, Config{})
	defer s.Close()
	kept, running := newClaim(), newClaim()
	claims(t, s, running, refrain.Run)
	claims(t, s, kept, refrain.Run)
	settles(t, s, finish(&kept, "paid"), nil)

	unavailable := func(ctx context.Context) {
		t.Helper()
		_, claimed := s.Claim(ctx, newClaim())
		_, settled := s.Settle(ctx, finish(&running, "paid"))
		_, got := s.Get(ctx, kept.ID)
		_, listed := s.List(ctx, refrain.ListQuery{})
		renewed := s.Renew(ctx, refrain.Renewal{ID: running.ID, Token: running.Token, Lease: time.Hour})
		for call, err := range map[string]error{
			"Claim": claimed, "Settle": settled, "Get": got, "List": listed, "Renew": renewed,
		} {
			if !errors.Is(err, refrain.ErrUnavailable) || errors.Is(err, refrain.ErrStale) {
				t.Errorf("%s: got error %v, want %v", call, err, refrain.ErrUnavailable)
			}
		}
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	unavailable(within(t))
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	claims(t, s, again(running), refrain.InFlight)
	claims(t, s, again(kept), refrain.Replay)

	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	for s.db.PingContext(briefly(t)) == nil { // a signal takes its time
	}
	unavailable(briefly(t))
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	settles(t, s, finish(&running, "paid"), nil)
	claims(t, s, again(running), refrain.Replay)
	claims(t, s, newClaim(), refrain.Run)
}

func briefly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// TestKilledServer kills the server while operations come and go. Every claim and outcome that was acknowledged is there when it
// is back, and no fence is handed out twice.
func TestKilledServer(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	url := database(t, server)
	s := openStore(t, url, Config{})
	defer s.Close()
	for range 5 {
		var acknowledged sync.Map // claims, and how far they came
		var finished atomic.Int64
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				for {
					c := newClaim()
					d, err := s.Claim(within(t), c)
					if err != nil {
						return
					}
					acknowledged.Store(c, d.Record)
					r, err := s.Settle(within(t), finish(&c, "paid"))
					if err != nil {
						return
					}
					acknowledged.Store(c, r)
					finished.Add(1)
				}
			})
		}
		for finished.Load() < 200 {
			<-time.After(time.Millisecond)
		}
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		fences := make(map[uint64]bool)
		for c, r := range acknowledged.Range {
			c, r := c.(refrain.Claim), r.(refrain.Record)
			got, err := s.Get(within(t), c.ID)
			if err != nil || got.Fence != r.Fence || got.Token != r.Token || got.State < r.State {
				t.Fatalf("got %v with fence %d, error %v, want %v with fence %d", got.State, got.Fence, err, r.State, r.Fence)
			}
			if fences[r.Fence] {
				t.Fatalf("fence %d was handed out twice", r.Fence)
			}
			fences[r.Fence] = true
		}
	}
}
