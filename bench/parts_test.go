package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// BenchmarkParts shows what the parts of the middleware cost: cpu-ns/op is CPU time, of all cores. docs/performance.md explains
// its table.
func BenchmarkParts(b *testing.B) {
	bare := http.HandlerFunc(charge)
	under := func(p refrainhttp.Policy) func(*testing.B, *refrain.Guard) inProcess {
		return func(b *testing.B, g *refrain.Guard) inProcess {
			m, err := refrainhttp.New(g, refrainhttp.Config{Policy: p})
			if err != nil {
				b.Fatal(err)
			}
			return netHTTP(b.Context(), m.Wrap(bare))
		}
	}
	bodyless := refrainhttp.Policy{Fingerprint: refrainhttp.Fingerprint{Body: refrainhttp.BodyNone}}
	mute := refrainhttp.Policy{Answers: refrainhttp.Answers{Marks: []string{}}}
	fiber := fiberInProcess()
	for _, p := range []struct {
		name  string
		store func() refrain.Store
		serve func(*testing.B, *refrain.Guard) inProcess
	}{
		{"bare", memory, func(b *testing.B, _ *refrain.Guard) inProcess { return netHTTP(b.Context(), bare) }},
		{"core-forgetful", forgetful, coreOnly},
		{"core", memory, coreOnly},
		{"middleware-forgetful", forgetful, under(refrainhttp.Policy{})},
		{"middleware-bodyless", memory, under(bodyless)},
		{"middleware-mute", memory, under(mute)},
		{"middleware", memory, under(refrainhttp.Policy{})},
		{"fiber-bare", memory, func(*testing.B, *refrain.Guard) inProcess { return fiber.bare }},
		{"fiber", memory, func(*testing.B, *refrain.Guard) inProcess { return fiberInProcess().with }},
	} {
		b.Run(p.name, func(b *testing.B) { firsts(b, p.store, p.serve) })
	}
	b.Run("replay", func(b *testing.B) { replays(b, under(refrainhttp.Policy{})) })
	b.Run("replay-fiber", func(b *testing.B) { replays(b, func(*testing.B, *refrain.Guard) inProcess { return fiber.with }) })
}

func memory() refrain.Store { return memstore.New(memstore.Config{MaxBytes: 1 << 30}) }

func newGuard(b *testing.B, s refrain.Store) *refrain.Guard {
	g, err := refrain.New(s, refrain.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = g.Close(context.Background()) })
	return g
}

// firsts measures first executions, on a new store every now and then as in the comparison in process.
func firsts(b *testing.B, store func() refrain.Store, with func(*testing.B, *refrain.Guard) inProcess) {
	b.ReportAllocs()
	var cpu time.Duration
	for done := 0; done < b.N; done += operations {
		b.StopTimer()
		serve := with(b, newGuard(b, store()))
		b.StartTimer()
		cpu += timed(b, serve, min(operations, b.N-done))
	}
	b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns/op")
}

// replays measures replays of recorded operations.
func replays(b *testing.B, with func(*testing.B, *refrain.Guard) inProcess) {
	b.ReportAllocs()
	serve := with(b, newGuard(b, memory()))
	timed(b, serve, operations)
	b.ResetTimer()
	var cpu time.Duration
	for done := 0; done < b.N; done += operations {
		cpu += timed(b, serve, min(operations, b.N-done))
	}
	b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns/op")
}

// timed asks for n operations, and returns the CPU time that they took.
func timed(b *testing.B, serve inProcess, n int) time.Duration {
	start := cpuTime()
	for i := range n {
		if err := serve(uint64(i)); err != nil {
			b.Fatal(err)
		}
	}
	return cpuTime() - start
}

// coreOnly claims an operation and finishes it.
func coreOnly(b *testing.B, g *refrain.Guard) inProcess {
	key := make([]byte, 36)
	outcome := refrain.Outcome{Status: 200, Meta: make([]byte, 40), Body: []byte(answer)}
	return func(n uint64) error {
		uuid(key, n)
		a, err := g.Begin(b.Context(), refrain.Operation{
			Scope: refrain.Scope{Principal: "bench", Route: "POST /"}, Key: string(key), Fingerprint: refrain.Fingerprint{1},
		})
		if err != nil {
			return err
		}
		return a.Finish(b.Context(), outcome)
	}
}

// A forgetful store lets everything run and remembers nothing.
type forgetfulStore struct{ refrain.Store }

func forgetful() refrain.Store { return forgetfulStore{} }

func (forgetfulStore) Claim(_ context.Context, c refrain.Claim) (refrain.Decision, error) {
	d, _ := c.Apply(refrain.Record{}, time.Now(), 1)
	return d, nil
}

func (forgetfulStore) Settle(_ context.Context, s refrain.Settlement) (refrain.Record, error) {
	now := time.Now()
	next, _, err := s.Apply(refrain.Record{State: refrain.StateRunning, Token: s.Token, Fence: 1, Lease: now.Add(time.Minute)}, now)
	return next, err
}

func (forgetfulStore) Peek(refrain.ID) (refrain.Record, time.Time) {
	return refrain.Record{}, time.Time{}
}
