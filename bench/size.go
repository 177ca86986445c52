package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/pebblestore"
)

// memoryLimit is what the proxy's resident memory should stay below.
const memoryLimit = 256 << 20

// size sends a million distinct operations through the proxy, looks at its memory, and then compares how long a claim takes
// in the store it leaves with how long it takes in a small one.
func (b *bench) size(ctx context.Context) ([]result, error) {
	folder := filepath.Join(b.dir, "size")
	resident, err := b.fill(ctx, folder)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("resident memory of the proxy after %s distinct operations", amount(float64(b.plan.records)))
	results := []result{{
		what: what, ours: fmt.Sprintf("%d MiB", resident>>20), theirs: "limit 256 MiB",
		ratio: float64(resident) / memoryLimit, target: "≤ 1", met: resident <= memoryLimit,
	}}
	start := time.Now()
	large, err := pebblestore.Open(folder, pebblestore.Config{})
	if err != nil {
		return nil, err
	}
	defer large.Close()
	opened := time.Since(start)
	results = append(results, result{
		what: fmt.Sprintf("opening the store with %s live records", amount(float64(b.plan.records))), ours: ms(opened),
		theirs: "limit 1 s", ratio: opened.Seconds(), target: "≤ 1", met: opened < time.Second,
	})
	small, err := b.smallStore(ctx)
	if err != nil {
		return nil, err
	}
	defer small.Close()
	latency, err := b.claimLatency(ctx, large, small)
	return append(results, latency), err
}

// fill sends the operations, and returns how much memory the proxy has at the end.
func (b *bench) fill(ctx context.Context, folder string) (int64, error) {
	upstream, err := b.serve(ctx, "upstream")
	if err != nil {
		return 0, err
	}
	defer upstream.stop()
	proxy, ours, err := startRefrain(ctx, b.dir, upstream.addr, folder)
	if err != nil {
		return 0, err
	}
	defer proxy.stop()
	var keys sequence
	const steps = 10
	for i := range steps {
		l := load{target: ours, keys: keys.fresh, until: times(b.plan.records / steps)}
		r, err := l.run(ctx)
		if err != nil {
			return 0, err
		}
		resident, err := proxy.memory()
		if err != nil {
			return 0, err
		}
		progress(fmt.Sprintf("%d of %d operations, %s/s, %d MiB", (i+1)*r.requests, b.plan.records, amount(r.rate()), resident>>20))
	}
	return proxy.memory()
}

// smallStore returns a store of 10,000 records.
func (b *bench) smallStore(ctx context.Context) (*pebblestore.Store, error) {
	s, err := pebblestore.Open(filepath.Join(b.dir, "small"), pebblestore.Config{})
	if err != nil {
		return nil, err
	}
	left := times(10_000)
	var group sync.WaitGroup
	var once sync.Once
	for range connections {
		group.Go(func() {
			for left() {
				if e := execute(ctx, s); e != nil {
					once.Do(func() { err = e })
					return
				}
			}
		})
	}
	group.Wait()
	return s, err
}

// claimLatency compares the 99th percentile of a claim in two stores. The claims are released again, so that neither grows.
func (b *bench) claimLatency(ctx context.Context, large, small refrain.Store) (result, error) {
	const what = "99th percentile of a claim among many records and among 10,000"
	const split = 4 // many short turns: what disturbs the slowest hundredth comes and goes quickly
	turn := func(s refrain.Store) func() (float64, error) {
		return func() (float64, error) { return claims(ctx, s, b.plan.turn()/split) }
	}
	a, z := side{"many", turn(large)}, side{"10,000", turn(small)}
	got, err := warmDuel(what, b.plan.rounds*split, a, z)
	if err != nil {
		return result{}, err
	}
	return atMost(1.3, what, " ms", got, "10,000:"), nil
}

// claims makes claims and releases them for a while, and returns the 99th percentile of the claims in milliseconds.
func claims(ctx context.Context, s refrain.Store, d time.Duration) (float64, error) {
	until := during(d)
	var all histogram
	var failed error
	var mu sync.Mutex
	var group sync.WaitGroup
	for range connections {
		group.Go(func() {
			var h histogram
			err := error(nil)
			for err == nil && until() {
				err = claimAndRelease(ctx, s, &h)
			}
			mu.Lock()
			defer mu.Unlock()
			all.add(&h)
			if err != nil {
				failed = err
			}
		})
	}
	group.Wait()
	return float64(all.quantile(0.99)) / float64(time.Millisecond), failed
}

func claimAndRelease(ctx context.Context, s refrain.Store, h *histogram) error {
	c := newClaim()
	start := time.Now()
	if _, err := s.Claim(ctx, c); err != nil {
		return err
	}
	h.observe(time.Since(start))
	_, err := s.Settle(ctx, refrain.Settlement{ID: c.ID, Token: c.Token, Ending: refrain.Released})
	return err
}
