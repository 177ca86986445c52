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

// perStore is how many operations a store gets in these benchmarks, as in a turn of the comparison in process.
const perStore = operations

// BenchmarkParts shows what the parts of the middleware cost that make up a first execution.
func BenchmarkParts(b *testing.B) {
	outcome := refrain.Outcome{Status: 200, Meta: make([]byte, 40), Body: []byte(answer)}
	b.Run("store", func(b *testing.B) {
		perTurn(b, func(s refrain.Store, _ *refrain.Guard) inProcess {
			return func(uint64) error { return execute(b.Context(), s) }
		}, memory)
	})
	core := func(_ refrain.Store, g *refrain.Guard) inProcess {
		key := make([]byte, 36)
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
	b.Run("core", func(b *testing.B) { perTurn(b, core, memory) })
	b.Run("core, nothing stored", func(b *testing.B) { perTurn(b, core, nowhere) })
	whole := func(cfg refrainhttp.Config) func(refrain.Store, *refrain.Guard) inProcess {
		return func(_ refrain.Store, g *refrain.Guard) inProcess {
			m, err := refrainhttp.New(g, cfg)
			if err != nil {
				b.Fatal(err)
			}
			return netHTTP(b.Context(), m.Wrap(http.HandlerFunc(charge)))
		}
	}
	raw := refrainhttp.Policy{Fingerprint: refrainhttp.Fingerprint{Body: refrainhttp.BodyNone}}
	mute := refrainhttp.Policy{Answers: refrainhttp.Answers{Marks: []string{}}}
	for _, p := range []struct {
		name string
		cfg  refrainhttp.Config
	}{{"middleware", refrainhttp.Config{}}, {"middleware, body not compared", refrainhttp.Config{Policy: raw}}, {"middleware, without marks", refrainhttp.Config{Policy: mute}}} {
		b.Run(p.name, func(b *testing.B) { perTurn(b, whole(p.cfg), memory) })
	}
	b.Run("replay", func(b *testing.B) {
		s := memory()
		g, err := refrain.New(s, refrain.Config{})
		if err != nil {
			b.Fatal(err)
		}
		serve := whole(refrainhttp.Config{})(s, g)
		for i := range perStore {
			if err := serve(uint64(i)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			if err := serve(uint64(i % perStore)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("middleware, nothing stored", func(b *testing.B) { perTurn(b, whole(refrainhttp.Config{}), nowhere) })
	b.Run("bare handler", func(b *testing.B) {
		perTurn(b, func(refrain.Store, *refrain.Guard) inProcess { return netHTTP(b.Context(), http.HandlerFunc(charge)) }, memory)
	})
}

func memory() refrain.Store { return memstore.New(memstore.Config{MaxBytes: 1 << 30}) }

func nowhere() refrain.Store { return oblivious{} }

func perTurn(b *testing.B, make func(refrain.Store, *refrain.Guard) inProcess, store func() refrain.Store) {
	b.ReportAllocs()
	for done := 0; done < b.N; done += perStore {
		b.StopTimer()
		s := store()
		g, err := refrain.New(s, refrain.Config{})
		if err != nil {
			b.Fatal(err)
		}
		serve := make(s, g)
		b.StartTimer()
		for i := range min(perStore, b.N-done) {
			if err := serve(uint64(i)); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		_ = g.Close(b.Context())
		b.StartTimer()
	}
}

// An oblivious store lets everything run and remembers nothing.
type oblivious struct{ refrain.Store }

func (oblivious) Claim(_ context.Context, c refrain.Claim) (refrain.Decision, error) {
	d, _ := c.Apply(refrain.Record{}, time.Now(), 1)
	return d, nil
}

func (oblivious) Settle(_ context.Context, s refrain.Settlement) (refrain.Record, error) {
	r := refrain.Record{State: refrain.StateRunning, Token: s.Token, Fence: 1, Lease: time.Now().Add(time.Minute)}
	next, _, err := s.Apply(r, time.Now())
	return next, err
}

func (oblivious) Peek(refrain.ID) (refrain.Record, time.Time) { return refrain.Record{}, time.Time{} }
