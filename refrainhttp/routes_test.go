package refrainhttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

func newMiddleware(t *testing.T, cfg refrainhttp.Config) (*refrainhttp.Middleware, error) {
	t.Helper()
	g, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return refrainhttp.New(g, cfg)
}

func TestExplain(t *testing.T) {
	t.Parallel()
	required := refrainhttp.Policy{Key: refrainhttp.Key{Required: true}}
	m, err := newMiddleware(t, refrainhttp.Config{Routes: []refrainhttp.Route{
		{Match: []string{"POST /charges", "POST /charges/{id}/capture"}, Policy: required},
		{Match: []string{"/charges/{id}"}},
		{Match: []string{"DELETE /charges/{id}"}, Policy: refrainhttp.Policy{Mode: refrainhttp.Off}},
		{Match: []string{"POST /tree/"}, Policy: refrainhttp.Policy{Mode: refrainhttp.Observe}},
		{Match: []string{"POST example.com/{$}"}, Policy: atOnce()},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		method, url, pattern string
		protected            bool
		why                  string
	}{
		{"POST", "/charges", "POST /charges", true, "without a key is refused"},
		{"POST", "/charges/7/capture", "POST /charges/{id}/capture", true, "without a key is refused"},
		{"POST", "/charges/a%2Fb/capture", "POST /charges/{id}/capture", true, "without a key is refused"},
		{"POST", "/charges/7", "/charges/{id}", true, "passes unprotected"},
		{"PUT", "/charges/7", "/charges/{id}", true, "passes unprotected"},
		{"GET", "/charges/7", "/charges/{id}", false, "safe method"},
		{"DELETE", "/charges/7", "DELETE /charges/{id}", false, "mode is off"},
		{"POST", "/tree/a/b", "POST /tree/", false, "observe"},
		{"POST", "/tree", "", false, "No route"}, // the mux would redirect
		{"GET", "/charges", "", false, "No route"},
		{"POST", "/other", "", false, "No route"},
		{"POST", "//charges", "POST /charges", true, "without a key is refused"}, // unclean paths are no way around
		{"POST", "/x/../charges", "POST /charges", true, "without a key is refused"},
		{"POST", "/charges/./7/capture", "POST /charges/{id}/capture", true, "without a key is refused"},
		{"POST", "/tree//a/", "POST /tree/", false, "observe"},
		{"POST", "http://example.com:8080/", "POST example.com/{$}", true, "passes unprotected"},
		{"POST", "http://example.org/", "", false, "No route"},
	} {
		got := m.Explain(httptest.NewRequest(tt.method, tt.url, nil))
		if got.Pattern != tt.pattern || got.Protected != tt.protected || !strings.Contains(got.Why, tt.why) {
			t.Errorf("%s %s got %q, protected %t, %q; want %q, %t, %q",
				tt.method, tt.url, got.Pattern, got.Protected, got.Why, tt.pattern, tt.protected, tt.why)
		}
	}
	p := m.Explain(httptest.NewRequest("POST", "http://example.com/", nil)).Policy
	if p.Operation.Wait >= 0 || p.Key.MaxLength != 255 || p.Limits.RequestBody != 1<<20 || len(p.Outcomes.Release) != 5 {
		t.Errorf("got %+v, want the defaults spelled out", p)
	}
	p = m.Explain(httptest.NewRequest("POST", "/charges", nil)).Policy
	if p.Operation.Wait != 5*time.Second || p.Mode != refrainhttp.Enforce {
		t.Errorf("got wait %s, mode %q, want 5s, enforce", p.Operation.Wait, p.Mode)
	}
}

// Whatever the mux would redirect goes to the handler as it is.
func TestRoutesNeverRedirect(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{Routes: []refrainhttp.Route{{Match: []string{"POST /tree/", "POST /charges"}}}},
		func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Path", r.URL.Path) })
	for _, path := range []string{"/tree", "/tree/", "/tree/a", "//charges", "/x/../charges", "/other", "/charges/"} {
		if got := s.do(ask{path: path, key: "k" + path}); got.code != 200 || got.header.Get("X-Path") != path {
			t.Errorf("%s got %v, want 200 at the same path", path, got)
		}
	}
	s.do(ask{path: "//charges", key: "k//charges"})
	s.ran(7) // the last one is a replay
	s.do(ask{path: "/other", key: "k/other"})
	s.ran(8) // no route, no protection
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	policy := func(change func(*refrainhttp.Policy)) refrainhttp.Config {
		var p refrainhttp.Policy
		change(&p)
		return refrainhttp.Config{Policy: p}
	}
	routes := func(patterns ...string) refrainhttp.Config {
		return refrainhttp.Config{Routes: []refrainhttp.Route{{Match: patterns}}}
	}
	for want, cfg := range map[string]refrainhttp.Config{
		`mode: "on"`:                   policy(func(p *refrainhttp.Policy) { p.Mode = "on" }),
		`format: "guid"`:               policy(func(p *refrainhttp.Policy) { p.Key.Format = "guid" }),
		`max length is 2000`:           policy(func(p *refrainhttp.Policy) { p.Key.MaxLength = 2000 }),
		`max length is -1`:             policy(func(p *refrainhttp.Policy) { p.Key.MaxLength = -1 }),
		`from: the list is empty`:      policy(func(p *refrainhttp.Policy) { p.Key.From = []string{} }),
		`"a b" is not a header name`:   policy(func(p *refrainhttp.Policy) { p.Key.From = []string{"header:a b"} }),
		`principal: the list is empty`: policy(func(p *refrainhttp.Policy) { p.Principal = []refrainhttp.Source{} }),
		`principal: "session:x"`:       policy(func(p *refrainhttp.Policy) { p.Principal = []refrainhttp.Source{"session:x"} }),
		`none stands alone`: policy(func(p *refrainhttp.Policy) {
			p.Principal = []refrainhttp.Source{"header:a", "none"}
		}),
		`route: "host"`:                      policy(func(p *refrainhttp.Policy) { p.RouteScope = "host" }),
		`body: "xml"`:                        policy(func(p *refrainhttp.Policy) { p.Fingerprint.Body = "xml" }),
		`include: "a" is not a JSON pointer`: policy(func(p *refrainhttp.Policy) { p.Fingerprint.Include = []string{"a"} }),
		`"6xx" is neither`:                   policy(func(p *refrainhttp.Policy) { p.Outcomes.Final = []string{"6xx"} }),
		`"100" is neither`:                   policy(func(p *refrainhttp.Policy) { p.Outcomes.Final = []string{"100"} }),
		`429 is in two lists`: policy(func(p *refrainhttp.Policy) {
			p.Outcomes.Final, p.Outcomes.Release = []string{"429"}, []string{"429"}
		}),
		`request body -1`:                     policy(func(p *refrainhttp.Policy) { p.Limits.RequestBody = -1 }),
		`lease is 1ms`:                        policy(func(p *refrainhttp.Policy) { p.Operation.Lease = time.Millisecond }),
		`replay headers: "" is not`:           policy(func(p *refrainhttp.Policy) { p.ReplayHeaders = []string{""} }),
		`route 1: match is empty`:             routes(),
		`route 1 (POST charges): match:`:      routes("POST charges"),
		`GET is a safe method`:                routes("GET /charges"),
		`route 1 (POST /{b}): match: pattern`: routes("POST /{a}", "POST /{b}"),
		`match: pattern "POST /x/{b}" conflicts with pattern "POST /{a}/y"`: routes("POST /{a}/y", "POST /x/{b}"),
	} {
		_, err := newMiddleware(t, cfg)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), ".go:") {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	if _, err := refrainhttp.New(nil, refrainhttp.Config{}); err == nil {
		t.Error("a nil guard is accepted")
	}
	p := refrainhttp.Policy{Mode: "on"}
	if err := p.Validate(); err == nil {
		t.Error("Validate accepts a bad mode")
	}
}

func TestOutcomesOverruleDefaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		outcomes refrainhttp.Outcomes
		code     int
		again    string
	}{
		{refrainhttp.Outcomes{Final: []string{"429"}}, 429, "replayed"},
		{refrainhttp.Outcomes{Final: []string{"429"}}, 200, "unknown"}, // in no list
		{refrainhttp.Outcomes{Release: []string{"5xx"}}, 500, "executed"},
		{refrainhttp.Outcomes{Release: []string{"5xx"}}, 401, "replayed"},
		{refrainhttp.Outcomes{Unknown: []string{"409"}}, 409, "unknown"},
		{refrainhttp.Outcomes{Final: []string{"2xx", "503"}}, 503, "replayed"},
		{refrainhttp.Outcomes{Final: []string{"2xx", "4xx"}, Release: []string{"404"}}, 404, "executed"},
		{refrainhttp.Outcomes{Release: []string{}}, 429, "replayed"},
	} {
		s := newSite(t, oneRoute(refrainhttp.Policy{Outcomes: tt.outcomes}), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(tt.code)
		})
		s.do(post("k", "1"))
		if got := s.do(post("k", "1")); got.status() != tt.again {
			t.Errorf("%+v, %d: retry got %v, want %s", tt.outcomes, tt.code, got, tt.again)
		}
	}
}
