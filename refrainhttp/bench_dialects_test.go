package refrainhttp_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// BenchmarkDialects shows what a dialect costs beside the default one: the median, over many turns that both take one after
// the other, of the time of first executions and of replays. Requests are made before the clock runs.
func BenchmarkDialects(b *testing.B) {
	for _, d := range refrainhttp.Dialects() {
		b.Run(d.Name, func(b *testing.B) {
			plain, _ := refrainhttp.LookupDialect("default")
			ours, theirs := newTurns(b, &d), newTurns(b, &plain)
			var first, replay []float64
			for b.Loop() {
				a, c := ours.take(), theirs.take()
				first = append(first, float64(a[0])/float64(c[0]))
				replay = append(replay, float64(a[1])/float64(c[1]))
			}
			b.ReportMetric(middle(first), "first/default")
			b.ReportMetric(middle(replay), "replay/default")
		})
	}
}

func middle(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// turns are those of one dialect.
type turns struct {
	dialect *refrainhttp.Dialect
	handler http.Handler
	n       int
}

func newTurns(b *testing.B, d *refrainhttp.Dialect) *turns {
	guard, err := refrain.New(memstore.New(memstore.Config{MaxBytes: 4 << 30}), refrain.Config{})
	if err != nil {
		b.Fatal(err)
	}
	m, err := refrainhttp.New(guard, refrainhttp.Config{Routes: []refrainhttp.Route{{Match: []string{"POST /"}, Policy: d.Policy}}})
	if err != nil {
		b.Fatal(err)
	}
	return &turns{dialect: d, handler: m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, benchAnswer)
	}))}
}

// take serves some requests, then each again, and returns how long both took.
func (t *turns) take() (took [2]time.Duration) {
	const batch = 500
	keys := make([]string, batch)
	for i := range keys {
		t.n++
		keys[i] = fmt.Sprintf("01234567-89ab-7def-8123-%012x", t.n)
	}
	for again := range took {
		requests := make([]*http.Request, batch)
		for i, key := range keys {
			requests[i] = t.request(key)
		}
		w := &sink{header: make(http.Header)}
		start := time.Now()
		for _, r := range requests {
			clear(w.header)
			t.handler.ServeHTTP(w, r)
		}
		took[again] = time.Since(start)
	}
	return took
}

// request returns one with the key where the dialect wants it.
func (t *turns) request(key string) *http.Request {
	body := benchBody
	h := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer bench"}}
	k := &t.dialect.Policy.Key
	from := "header:Idempotency-Key"
	if len(k.From) > 0 {
		from = k.From[0]
	}
	place, names, _ := strings.Cut(from, ":")
	switch {
	case place == "body":
		body = fmt.Sprintf(`{%q:%q,%s`, names[1:], key, body[1:])
	case k.Format == refrainhttp.SFString:
		key = `"` + key + `"`
		fallthrough
	default:
		for name := range strings.SplitSeq(names, ",") {
			h.Set(name, key)
		}
	}
	if k.FirstSent != "" {
		h.Set(k.FirstSent, time.Now().UTC().Format(http.TimeFormat))
	}
	return &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: "/charges"}, Host: "bench", Header: h,
		Body: io.NopCloser(bytes.NewReader([]byte(body))), ContentLength: int64(len(body)),
	}
}
