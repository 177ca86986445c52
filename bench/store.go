package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/pebblestore"
)

// goroutines is how many operations the store has at a time.
const goroutines = 256

// store compares claim and finish in the embedded store with what the disk allows: appending the same bytes to a file and
// syncing it, with as many waiting for each sync as there are. Beside them Pebble gets the same bytes as two writes, unread.
func (b *bench) store(ctx context.Context) ([]result, error) {
	s, err := pebblestore.Open(filepath.Join(b.dir, "store"), pebblestore.Config{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	l, err := newAppendLog(filepath.Join(b.dir, "append"))
	if err != nil {
		return nil, err
	}
	defer l.close()
	bare, err := newPebbleLog(filepath.Join(b.dir, "bare"))
	if err != nil {
		return nil, err
	}
	defer bare.close()
	worker := func(name string, op func() error) side {
		return side{name, func() (float64, error) { return together(goroutines, b.plan.turn(), op) }}
	}
	const what, peer = "the embedded store alone, claim and finish, 512 B, 256 at a time", "append and fdatasync"
	got, err := warmTourney(what, b.plan.rounds,
		worker("Refrain", func() error { return execute(ctx, s) }), worker("Pebble", bare.execute), worker(peer, l.execute))
	if err != nil {
		return nil, err
	}
	return []result{
		atLeast(0.8, what, "/s", got[0], peer),
		floor("the embedded store: floor, the same records in bare Pebble", "Pebble", got[1], peer),
	}, nil
}

// together runs op again and again in so many goroutines, and returns how often a second.
func together(n int, d time.Duration, op func() error) (float64, error) {
	until := during(d)
	var group sync.WaitGroup
	var mu sync.Mutex
	var all int
	var failed error
	start := time.Now()
	for range n {
		group.Go(func() {
			done, err := 0, error(nil)
			for err == nil && until() {
				if err = op(); err == nil {
					done++
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all += done
			if err != nil {
				failed = err
			}
		})
	}
	group.Wait()
	return float64(all) / time.Since(start).Seconds(), failed
}

// finish ends the claim with an outcome of 512 bytes.
func finish(c *refrain.Claim) refrain.Settlement {
	o := refrain.Outcome{Status: 201, Meta: bytes.Repeat([]byte("m"), 112), Body: bytes.Repeat([]byte("b"), 400)}
	return refrain.Settlement{
		ID: c.ID, Token: c.Token, Ending: refrain.Finished, Outcome: &o,
		Retention: 24 * time.Hour, Tombstone: 7 * 24 * time.Hour,
	}
}

// execute claims a new operation and finishes it.
func execute(ctx context.Context, s refrain.Store) error {
	c := newClaim()
	d, err := s.Claim(ctx, c)
	if err != nil {
		return err
	}
	if d.Verdict != refrain.Run {
		return fmt.Errorf("a new operation got the verdict %s", d.Verdict)
	}
	_, err = s.Settle(ctx, finish(&c))
	return err
}

func newClaim() refrain.Claim {
	c := refrain.Claim{Token: refrain.NewToken(), Lease: time.Minute}
	_, _ = rand.Read(c.ID[:]) // never fails since Go 1.24
	return c
}
