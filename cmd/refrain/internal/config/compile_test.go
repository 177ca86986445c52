package config

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

func TestPoliciesReachTheMiddleware(t *testing.T) {
	t.Parallel()
	const text = `
routes:
  - match: [POST /a, PUT /b]
    mode: observe
    key: { required: true, from: ["header:x-key", "header:idempotency-key"], format: uuid7, max_length: 36 }
    scope: { principal: none, route: path }
    fingerprint: { body: json, include: [/a], exclude: [/a/b], headers: [x-version] }
    in_flight: { wait: 0s }
    outcome: { final: [2xx, 3xx, 4xx, 5xx], unknown: [] }
    unknown: rerun
    lease: 1s
    timeout: 2s
    retention: 3s
    tombstone: 0s
    store_down: open
    limits: { request_body: 1KiB, response_body: 2KiB }
`
	c, err := Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := refrainhttp.Config{Gateway: true, Routes: []refrainhttp.Route{{
		Match: []string{"POST /a", "PUT /b"},
		Policy: refrainhttp.Policy{
			Operation: refrain.Policy{
				Wait: -1, Lease: time.Second, Timeout: 2 * time.Second, Retention: 3 * time.Second, Tombstone: -1,
				Unknown: refrain.Rerun, ProbeTimeout: 5 * time.Second, StoreDown: refrain.FailOpen,
			},
			Probe:   refrainhttp.Probe{Method: "GET", Base: "http://upstream", Answer: "tombstone"},
			Dialect: "default", Mode: refrainhttp.Observe,
			Key: refrainhttp.Key{
				Required: true, From: []string{"header:X-Key", "header:Idempotency-Key"}, Format: refrainhttp.UUID7,
				MinLength: 1, MaxLength: 36,
			},
			Principal:  []refrainhttp.Source{"none"},
			RouteScope: refrainhttp.RoutePath,
			Fingerprint: refrainhttp.Fingerprint{
				Of: []string{"method", "path", "query", "media-type"}, Body: refrainhttp.BodyJSON, Include: []string{"/a"}, Exclude: []string{"/a/b"}, Headers: []string{"X-Version"},
				Digest: refrainhttp.DigestIgnore,
			},
			Outcomes: refrainhttp.Outcomes{
				Final:   []string{"2xx", "3xx", "4xx", "5xx"},
				Release: []string{"401", "403", "408", "425", "429"}, Unknown: []string{},
			},
			Answers: refrainhttp.Policy{}.WithDefaults().Answers,
			Limits:  refrainhttp.Limits{RequestBody: 1 << 10, ResponseBody: 2 << 10},
		},
	}}}
	if got := c.Middleware(); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if got := c.LongestTimeout(); got != 2*time.Second {
		t.Errorf("longest timeout: got %s, want 2s", got)
	}
}

// withSources returns the configuration of a middleware that asks nobody for principals.
func withSources(c *Config) refrainhttp.Config {
	m := c.Middleware()
	nobody := func(string) (refrainhttp.Finder, error) {
		return refrainhttp.Finder{Find: func(*http.Request) (string, error) { return "", nil }}, nil
	}
	m.Sources = refrainhttp.Sources{"jwt": nobody, "mtls": nobody, "trusted": nobody, "client-ip": nobody}
	return m
}

// Whatever the file may say, the middleware takes.
func TestGoodFilesCompile(t *testing.T) {
	t.Parallel()
	guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files(t, "testdata/good/*.yaml") {
		c, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := refrainhttp.New(guard, withSources(c)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
