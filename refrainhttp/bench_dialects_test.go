//go:build unix

package refrainhttp_test

import (
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// BenchmarkDialects shows what each dialect costs beside the default one: the ratio of the times of first executions and of
// replays, and how far chance may have moved it. docs/performance.md has the table.
func BenchmarkDialects(b *testing.B) {
	for _, d := range refrainhttp.Dialects() {
		b.Run(d.Name, func(b *testing.B) { contest(b, &d.Policy) })
	}
}

// BenchmarkPolicies shows the same of what may be asked for in a policy. Principals that have to be verified are measured where
// that is done.
func BenchmarkPolicies(b *testing.B) {
	keyed := func(from ...string) refrainhttp.Policy { return refrainhttp.Policy{Key: refrainhttp.Key{From: from}} }
	compared := func(f refrainhttp.Fingerprint) refrainhttp.Policy { return refrainhttp.Policy{Fingerprint: f} }
	classed := func(o refrainhttp.Outcomes) refrainhttp.Policy { return refrainhttp.Policy{Outcomes: o} }
	for _, p := range []struct {
		name   string
		policy refrainhttp.Policy
	}{
		{"key-query", keyed("query:key")},
		{"key-body", keyed("body:/metadata/key")},
		{"key-tuple", keyed("tuple:X-Source,X-Id")},
		{"key-tuple-body", keyed("tuple:/source,/id")},
		{"key-derived", refrainhttp.Policy{Key: refrainhttp.Key{From: []string{"header:Absent"}, DeriveWindow: time.Minute}}},
		{"principal-cookie", refrainhttp.Policy{Principal: []refrainhttp.Source{"cookie:session"}}},
		{"route-path", refrainhttp.Policy{RouteScope: refrainhttp.RoutePath}},
		{"include", compared(refrainhttp.Fingerprint{Include: []string{"/amount", "/currency", "/customer"}})},
		{"exclude", compared(refrainhttp.Fingerprint{Exclude: []string{"/description", "/metadata/sent_at"}})},
		{"headers", compared(refrainhttp.Fingerprint{Headers: []string{"X-Account", "X-Api-Version"}})},
		{"digest", compared(refrainhttp.Fingerprint{Digest: refrainhttp.DigestVerify})},
		{"outcome-headers", classed(refrainhttp.Outcomes{Headers: []refrainhttp.HeaderRule{
			{"Transient-Error", "true", refrainhttp.Release}, {"X-Outcome", "final", refrainhttp.Final},
		}})},
		{"outcome-bodies", classed(refrainhttp.Outcomes{Bodies: []refrainhttp.BodyRule{
			{Pointer: "/errors", Class: refrainhttp.Unknown}, {Pointer: "/error/retry", Class: refrainhttp.Release},
		}})},
		{"failures", classed(refrainhttp.Outcomes{Failures: refrain.Keep{Retention: time.Hour}})},
		{"scope-body", refrainhttp.Policy{ScopeBody: []string{"/currency"}}},
		{"replay-echo", refrainhttp.Policy{Echo: []string{"/id"}}},
		{"replay-headers", refrainhttp.Policy{ReplayHeaders: []string{"Location"}}},
	} {
		b.Run(p.name, func(b *testing.B) { contest(b, &p.policy) })
	}
}

// BenchmarkSequence shows what a first execution with a number costs beside the default policy, in the long run: for each record
// that is made one ends, on the one side because its number has left the window, on the other because its time is over. Replays
// are of the newest numbers.
func BenchmarkSequence(b *testing.B) {
	p := refrainhttp.Policy{Key: refrainhttp.Key{From: []string{"sequence:X-Sequence"}}}
	beside := refrainhttp.Policy{Operation: refrain.Policy{Retention: 20 * time.Millisecond, Tombstone: -1}}
	var first, replay []float64
	for b.Loop() {
		t := newTurn(b, &p, &beside, 0)
		for range 3 { // until records end
			_ = t.ratio()
			t.from += turnRequests
		}
		first = append(first, t.ratio())
		fresh := newTurn(b, &p, &refrainhttp.Policy{}, 0)
		_ = fresh.ratio()
		replay = append(replay, fresh.ratio())
	}
	report(b, "first", first)
	report(b, "replay", replay)
}
