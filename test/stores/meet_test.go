package stores

import (
	"context"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// TestClaimsThatMeet has several processes claim the same operation at the same moment, again and again. One runs, and every other
// is told who does: none is told of nothing, as where a statement finds a row that its snapshot does not show (failure modes F55
// and F66).
func TestClaimsThatMeet(t *testing.T) {
	t.Parallel()
	for name, kind := range sharing {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := kind.start(t)
			var processes [3]refrain.Store
			for i := range processes {
				processes[i] = opened(t, kind, place)
			}
			for range 200 {
				meet(t, processes[:])
			}
		})
	}
}

// meet has each process claim one operation twice, all at once.
func meet(t *testing.T, processes []refrain.Store) {
	t.Helper()
	c := refrain.Claim{Lease: time.Hour}
	_, _ = rand.Read(c.ID[:])
	decisions := make([]refrain.Decision, 2*len(processes))
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range decisions {
		mine := rival(c)
		all.Go(func() {
			<-start
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			d, err := processes[i%len(processes)].Claim(ctx, mine)
			if err != nil {
				t.Errorf("claiming: %v", err)
			}
			if (d.Verdict == refrain.Run) != (d.Record.Token == mine.Token) {
				t.Errorf("got the verdict %v of a claim by %v", d.Verdict, d.Record.Token)
			}
			decisions[i] = d
		})
	}
	close(start)
	all.Wait()
	runs := 0
	for _, d := range decisions {
		switch {
		case d.Verdict == refrain.Run:
			runs++
		case d.Verdict != refrain.InFlight || d.Record.Token != decisions[0].Record.Token || d.Record.Fence != decisions[0].Record.Fence:
			t.Errorf("got %v of %v with fence %d", d.Verdict, d.Record.Token, d.Record.Fence)
		}
	}
	if runs != 1 {
		t.Errorf("%d of %d run, want 1", runs, len(decisions))
	}
}
