package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

type source struct{ running, unrecorded int }

func (s source) Running() int    { return s.running }
func (s source) Unrecorded() int { return s.unrecorded }

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(Config{Metrics: m, Logger: slog.New(slog.DiscardHandler)}).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func expect(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			got := regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(strings.Fields(name)[0])+`\b.*$`).FindAllString(text, -1)
			t.Errorf("got %q, want %s", got, line)
		}
	}
}

func TestMetricsCountEveryEvent(t *testing.T) {
	t.Parallel()
	m := NewMetrics("v1.2.3")
	m.Watch(source{running: 3, unrecorded: 2})
	m.SetTier(refrain.TierStrict)
	m.Reloaded(false)
	for _, e := range []refrain.Event{
		{Kind: refrain.EventVerdict, Verdict: refrain.Mismatch},
		{Kind: refrain.EventSettled, Ending: refrain.Undecided},
		{Kind: refrain.EventUnrecorded, Ending: refrain.Finished},
		{Kind: refrain.EventRecovered, Ending: refrain.Finished},
		{Kind: refrain.EventStale, Ending: refrain.Finished},
		{Kind: refrain.EventDropped, Ending: refrain.Finished},
		{Kind: refrain.EventProbed, Answer: refrain.DidNotHappen},
		{Kind: refrain.EventResolved, Ending: refrain.Released},
		{Kind: refrain.EventStoreCall, Call: "claim", Took: time.Millisecond, Err: refrain.ErrUnavailable},
		{Kind: refrain.EventStoreCall, Call: "settle", Took: time.Millisecond, Err: refrain.ErrStale},
		{Kind: refrain.EventStoreCall, Call: "renew", Took: time.Millisecond},
	} {
		m.Observe(e)
	}
	expect(t, scrape(t, m),
		`refrain_verdicts_total{verdict="mismatch"} 1`, `refrain_verdicts_total{verdict="run"} 0`,
		`refrain_endings_total{ending="unknown"} 1`, `refrain_endings_total{ending="finished"} 0`,
		`refrain_unrecorded_total 1`, `refrain_recovered_total 1`, `refrain_stale_total 1`, `refrain_dropped_total 1`,
		`refrain_store_errors_total{call="claim"} 1`, `refrain_store_errors_total{call="settle"} 0`,
		`refrain_store_call_duration_seconds_count{call="renew"} 1`,
		`refrain_probes_total{answer="did-not-happen"} 1`, `refrain_probes_total{answer="cannot-tell"} 0`,
		`refrain_resolved_total{ending="released"} 1`, `refrain_resolved_total{ending="finished"} 0`,
		`refrain_running 3`, `refrain_unrecorded 2`, `refrain_store_info{tier="strict"} 1`,
		`refrain_config_last_reload_successful 0`,
	)
}

func TestMetricsCountRequestsByRoute(t *testing.T) {
	t.Parallel()
	m := NewMetrics("v1.2.3")
	m.SetRoutes([]string{"POST /a"})
	for _, e := range []refrainhttp.Event{
		{Route: "POST /a", Status: refrainhttp.StatusExecuted, Took: time.Second},
		{Route: "POST /a", Status: refrainhttp.StatusReplayed, Took: time.Second},
		{Route: "POST /a", Status: refrainhttp.StatusUnkeyed},
		{Route: "POST /a", Mode: refrainhttp.Observe, Status: refrainhttp.StatusMismatch},
		{Route: "POST /not/known", Status: refrainhttp.StatusExecuted},
	} {
		m.ObserveRequest(e)
	}
	text := scrape(t, m)
	expect(t, text,
		`refrain_requests_total{route="POST /a",status="executed"} 1`,
		`refrain_requests_total{route="POST /a",status="unkeyed"} 1`,
		`refrain_requests_total{route="POST /a",status="mismatch"} 0`,
		`refrain_observed_requests_total{route="POST /a",status="mismatch"} 1`,
		`refrain_request_duration_seconds_count{route="POST /a",status="executed"} 1`,
		`refrain_request_duration_seconds_sum{route="POST /a",status="replayed"} 1`,
		`refrain_requests_total{route="other",status="executed"} 1`,
	)
	if strings.Contains(text, "/not/known") {
		t.Error("a route that nobody named is a label")
	}
}

// Every status of the middleware has a series: one without would panic when it happens.
func TestMetricsKnowEveryStatus(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../refrainhttp/event.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`Status\w+\s+Status = "([a-z-]+)"`).FindAllStringSubmatch(string(text), -1)
	if len(found) < 10 {
		t.Fatalf("found %d statuses, want all", len(found))
	}
	for _, f := range found {
		if !slices.Contains(statuses, refrainhttp.Status(f[1])) {
			t.Errorf("status %s is not counted", f[1])
		}
	}
}

func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	m := NewMetrics("v1.2.3")
	m.Watch(source{})
	m.SetTier(refrain.TierStrict)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	registered := map[string]bool{}
	for _, f := range families {
		if name := f.GetName(); strings.HasPrefix(name, "refrain_") {
			registered[name] = true
			if !strings.Contains(string(doc), "`"+name+"`") {
				t.Errorf("%s is not in docs/operations.md", name)
			}
		}
	}
	for _, name := range regexp.MustCompile("`(refrain_[a-z_]+)`").FindAllStringSubmatch(string(doc), -1) {
		if !registered[name[1]] {
			t.Errorf("docs/operations.md speaks of %s, which there is not", name[1])
		}
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	full, draining := errors.New("store full\nindeed"), errors.New("draining")
	for _, tt := range []struct {
		query          string
		process, store error
		status         int
		body           string
	}{
		{"", nil, nil, http.StatusOK, "ready\n"},
		{"", nil, full, http.StatusServiceUnavailable, "not ready: store: store full; indeed\n"},
		{"", draining, full, http.StatusServiceUnavailable, "not ready: process: draining\n"},
		{"?exclude=store", nil, full, http.StatusOK, "ready\n"},
		{"?exclude=store", draining, full, http.StatusServiceUnavailable, "not ready: process: draining\n"},
		{"?exclude=store&exclude=process", draining, full, http.StatusOK, "ready\n"},
		{"?exclude=stor", nil, nil, http.StatusBadRequest, "exclude: there is no check \"stor\"; there are process, store\n"},
	} {
		h := Handler(Config{Metrics: NewMetrics(""), Logger: slog.New(slog.DiscardHandler), Ready: []Check{
			{"process", func(context.Context) error { return tt.process }},
			{"store", func(context.Context) error { return tt.store }},
		}})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz"+tt.query, nil))
		if w.Code != tt.status || w.Body.String() != tt.body {
			t.Errorf("%s: got %d %q, want %d %q", tt.query, w.Code, w.Body.String(), tt.status, tt.body)
		}
	}
}

func TestObservingAllocatesNothing(t *testing.T) {
	m := NewMetrics("")
	m.SetRoutes([]string{"POST /a"})
	e := refrainhttp.Event{Route: "POST /a", Status: refrainhttp.StatusExecuted, Took: time.Millisecond}
	v := refrain.Event{Kind: refrain.EventStoreCall, Call: "claim", Took: time.Millisecond}
	if n := testing.AllocsPerRun(100, func() {
		m.ObserveRequest(e)
		m.Observe(v)
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
