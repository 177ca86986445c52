package refrainhttp_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

const (
	benchBody   = `{"amount":1099,"currency":"eur","customer":"c_19283","description":"order 5512"}`
	benchAnswer = `{"id":"ch_28934","amount":1099,"currency":"eur","status":"succeeded"}`
)

var keys atomic.Int64

// A sink is a ResponseWriter that keeps nothing.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

func benchRequest(key string) *http.Request {
	return &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: "/charges"}, Host: "bench",
		Header: http.Header{
			"Content-Type": {"application/json"}, "Authorization": {"Bearer bench"}, "Idempotency-Key": {key},
		},
		Body: io.NopCloser(bytes.NewReader([]byte(benchBody))), ContentLength: int64(len(benchBody)),
	}
}

// BenchmarkMiddleware shows what the middleware on memstore adds: subtract bare from the others.
func BenchmarkMiddleware(b *testing.B) {
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, benchAnswer)
	})
	guard, err := refrain.New(memstore.New(memstore.Config{MaxBytes: 4 << 30}), refrain.Config{})
	if err != nil {
		b.Fatal(err)
	}
	m, err := refrainhttp.New(guard, refrainhttp.Config{})
	if err != nil {
		b.Fatal(err)
	}
	serve := func(b *testing.B, h http.Handler, key func(int) string) {
		b.ReportAllocs()
		w := &sink{header: make(http.Header)}
		for i := range b.N {
			clear(w.header)
			h.ServeHTTP(w, benchRequest(key(i)))
		}
	}
	fresh := func(int) func(int) string {
		run := strconv.Itoa(b.N) + "-" + strconv.Itoa(int(keys.Add(1))) + "-"
		return func(i int) string { return run + strconv.Itoa(i) }
	}
	b.Run("bare", func(b *testing.B) { serve(b, bare, fresh(0)) })
	b.Run("first", func(b *testing.B) { serve(b, m.Wrap(bare), fresh(0)) })
	b.Run("replay", func(b *testing.B) { serve(b, m.Wrap(bare), func(int) string { return "the same" }) })
}
