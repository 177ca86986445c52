package storetest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/refrain-dev/refrain"
)

// Bench measures the stores that open returns: first executions (claim and finish of 512 bytes), replays, and duplicates of
// an operation in flight, from 1, 64 and 256 goroutines.
func Bench(b *testing.B, open func(b *testing.B) refrain.Store) {
	works := []struct {
		name    string
		prepare func(b *testing.B, s refrain.Store) refrain.ID
		call    func(ctx context.Context, s refrain.Store, id refrain.ID) error
	}{
		{"first", func(*testing.B, refrain.Store) (id refrain.ID) { return id }, benchFirst},
		{"replay", benchClaimed(refrain.Finished), benchAgain(refrain.Replay)},
		{"in-flight", benchClaimed(0), benchAgain(refrain.InFlight)},
	}
	for _, w := range works {
		for _, goroutines := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/goroutines=%d", w.name, goroutines), func(b *testing.B) {
				s := open(b)
				defer s.Close()
				id := w.prepare(b, s)
				b.ReportAllocs()
				b.ResetTimer()
				spread(b, goroutines, func() error { return w.call(b.Context(), s, id) })
				b.StopTimer()
			})
		}
	}
}

// spread divides b.N calls among goroutines.
func spread(b *testing.B, goroutines int, call func() error) {
	var done atomic.Int64
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for done.Add(1) <= int64(b.N) {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

var benchOutcome = refrain.Outcome{Status: 201, Meta: bytes.Repeat([]byte("m"), 112), Body: bytes.Repeat([]byte("b"), 400)}

func benchFirst(ctx context.Context, s refrain.Store, _ refrain.ID) error {
	c := refrain.Claim{ID: randomID(), Token: refrain.NewToken(), Lease: long}
	d, err := s.Claim(ctx, c)
	if err != nil || d.Verdict != refrain.Run {
		return fmt.Errorf("got verdict %v, error %w", d.Verdict, err)
	}
	o := benchOutcome
	// The retention is short, so that a store that keeps all in memory does not fill up.
	_, err = s.Settle(ctx, refrain.Settlement{
		ID: c.ID, Token: c.Token, Ending: refrain.Finished, Outcome: &o, Retention: short,
	})
	return err
}

// benchClaimed returns the preparation of one operation, which is claimed and, if told so, finished.
func benchClaimed(ending refrain.Ending) func(*testing.B, refrain.Store) refrain.ID {
	return func(b *testing.B, s refrain.Store) refrain.ID {
		b.Helper()
		c := refrain.Claim{ID: randomID(), Token: refrain.NewToken(), Lease: long}
		_, err := s.Claim(b.Context(), c)
		if err == nil && ending == refrain.Finished {
			o := benchOutcome
			_, err = s.Settle(b.Context(), refrain.Settlement{
				ID: c.ID, Token: c.Token, Ending: ending, Outcome: &o, Retention: long,
			})
		}
		if err != nil {
			b.Fatal(err)
		}
		return c.ID
	}
}

func benchAgain(want refrain.Verdict) func(context.Context, refrain.Store, refrain.ID) error {
	return func(ctx context.Context, s refrain.Store, id refrain.ID) error {
		d, err := s.Claim(ctx, refrain.Claim{ID: id, Token: refrain.NewToken(), Lease: long})
		if err == nil && d.Verdict != want {
			err = fmt.Errorf("got verdict %v, want %v", d.Verdict, want)
		}
		return err
	}
}
