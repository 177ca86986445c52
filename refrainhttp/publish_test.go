package refrainhttp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// publish serves next behind a middleware that tells its contract.
func publish(t *testing.T, cfg refrainhttp.Config, next http.HandlerFunc) func(method, path string, header ...string) *http.Response {
	t.Helper()
	guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := refrainhttp.New(guard, cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := m.Publish(m.Wrap(next))
	return func(method, path string, header ...string) *http.Response {
		r := httptest.NewRequest(method, path, nil)
		for _, line := range header {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result()
	}
}

func contractsIn(t *testing.T, resp *http.Response) []refrainhttp.Contract {
	t.Helper()
	var doc struct{ Routes []refrainhttp.Contract }
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc.Routes
}

func TestWellKnownTellsEveryRoute(t *testing.T) {
	t.Parallel()
	stripe, _ := refrainhttp.LookupDialect("stripe")
	do := publish(t, refrainhttp.Config{Routes: []refrainhttp.Route{
		{Match: []string{"POST /v1/"}, Policy: stripe.Policy},
		{Match: []string{"PUT /x"}, Policy: refrainhttp.Policy{Key: refrainhttp.Key{Required: true}}},
		{Match: []string{"PUT /off"}, Policy: refrainhttp.Policy{Mode: refrainhttp.Off}},
	}}, func(http.ResponseWriter, *http.Request) { t.Error("the API was asked") })
	all := contractsIn(t, do("GET", refrainhttp.WellKnown))
	if len(all) != 2 || all[0].Dialect != "stripe" || all[0].ISO8601 != "P1D" || all[0].Remembered != 0 || !all[1].Key.Required {
		t.Errorf("got %+v, want the two routes that are not off", all)
	}
	for _, p := range all[0].Problems {
		if p.Code == "idempotency_key_mismatch" && p.Status == 400 && p.Advice == "new-key" {
			return
		}
	}
	t.Errorf("got problems %+v, want Stripe's", all[0].Problems)
}

// TestWhatIsPublishedIsTrue: a wait or tombstone of none is none, and what becomes of unknown operations is said.
func TestWhatIsPublishedIsTrue(t *testing.T) {
	t.Parallel()
	none := refrain.Policy{Wait: -1, Tombstone: -1, Unknown: refrain.Probe}
	do := publish(t, refrainhttp.Config{Gateway: true, Routes: []refrainhttp.Route{
		{Match: []string{"POST /a"}, Policy: refrainhttp.Policy{Operation: none, Probe: refrainhttp.Probe{
			URL: "http://127.0.0.1:1/?k=${key}", Happened: refrainhttp.Expectation{Status: []string{"200"}},
		}}},
		{Match: []string{"POST /b"}, Policy: refrainhttp.Policy{Operation: refrain.Policy{Unknown: refrain.Rerun}}},
		{Match: []string{"POST /c"}},
	}}, func(http.ResponseWriter, *http.Request) { t.Error("the API was asked") })
	all := contractsIn(t, do("GET", refrainhttp.WellKnown))
	if a := all[0]; a.Wait != 0 || a.Remembered != 0 {
		t.Errorf("got a wait of %v and a tombstone of %v, want none", a.Wait, a.Remembered)
	}
	for i, want := range []string{"probe", "rerun", "hold"} {
		if all[i].Unknown != want {
			t.Errorf("%s: got %q, want %q", all[i].Match, all[i].Unknown, want)
		}
	}
	codes := map[string]bool{}
	for _, p := range all[2].Problems {
		codes[p.Code] = true
	}
	if !codes["upstream-unreachable"] || !codes["upstream-unanswered"] {
		t.Errorf("got problems %v, want those of an API that does not answer too", codes)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	cfg := refrainhttp.Config{Routes: []refrainhttp.Route{{Match: []string{"POST /a", "PUT /a"}}}}
	knows := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", "OPTIONS, POST")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "own")
		}
	}
	for _, tt := range []struct {
		name, path string
		status     int
		header     []string
		want       string // of the body; empty: the contract
		link       bool
	}{
		{"unknown to the API", "/a", 405, nil, "", true},
		{"known to the API", "/a", 200, nil, "own", true},
		{"another path", "/b", 405, nil, "own", false},
		{"preflight", "/a", 405, []string{"Access-Control-Request-Method: POST"}, "own", false},
	} {
		resp := publish(t, cfg, knows(tt.status))("OPTIONS", tt.path, tt.header...)
		if link := resp.Header.Get("Link"); (link != "") != tt.link {
			t.Errorf("%s: got Link %q, want one: %t", tt.name, link, tt.link)
		}
		if tt.want == "" {
			if here := contractsIn(t, resp); resp.StatusCode != 200 || len(here) != 2 {
				t.Errorf("%s: got %d with %+v, want the two contracts", tt.name, resp.StatusCode, here)
			}
			continue
		}
		if got, _ := io.ReadAll(resp.Body); string(got) != tt.want || resp.StatusCode != tt.status {
			t.Errorf("%s: got %d %q, want %d %q", tt.name, resp.StatusCode, got, tt.status, tt.want)
		}
	}
}

func TestLifetimeIsAdded(t *testing.T) {
	t.Parallel()
	iceberg, _ := refrainhttp.LookupDialect("iceberg")
	cfg := refrainhttp.Config{
		Routes:   []refrainhttp.Route{{Match: []string{"POST /v1/"}, Policy: iceberg.Policy}},
		Lifetime: refrainhttp.Lifetime{Match: "GET /v1/config", Member: "idempotency-key-lifetime"},
	}
	long := `{"x":"` + strings.Repeat("x", 2<<20) + `"}`
	for _, tt := range []struct{ path, body, want string }{
		{"/v1/config", `{"defaults":{}}`, `{"idempotency-key-lifetime":"P1D","defaults":{}}`},
		{"/v1/config", ` {}`, ` {"idempotency-key-lifetime":"P1D"}`},
		{"/v1/config", `{"idempotency-key-lifetime":"PT5M"}`, `{"idempotency-key-lifetime":"PT5M"}`},
		{"/v1/config", `[1]`, `[1]`},
		{"/v1/config", `null`, `null`},
		{"/v1/config", long, long},
		{"/v1/other", `{}`, `{}`},
	} {
		resp := publish(t, cfg, func(w http.ResponseWriter, r *http.Request) {
			if tt.path == "/v1/config" && r.Header.Get("Accept-Encoding") != "" {
				t.Error("the answer may come compressed")
			}
			_, _ = io.WriteString(w, tt.body)
		})("GET", tt.path, "Accept-Encoding: gzip")
		if got, _ := io.ReadAll(resp.Body); string(got) != tt.want {
			t.Errorf("%s: %.60q got %.60q, want %.60q", tt.path, tt.body, got, tt.want)
		}
	}
}

// TestAdviceOfAFinalFailure: a 5xx that is kept leaves open whether it happened, and a new key could make it happen twice.
func TestAdviceOfAFinalFailure(t *testing.T) {
	t.Parallel()
	stripe, _ := refrainhttp.LookupDialect("stripe")
	for _, policy := range []refrainhttp.Policy{
		stripe.Policy, {Outcomes: refrainhttp.Outcomes{Final: []string{"2xx", "3xx", "4xx", "5xx"}, Unknown: []string{}}},
	} {
		do := publish(t, refrainhttp.Config{Policy: policy}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
		for range 2 {
			if got := do("POST", "/", "Idempotency-Key: k").Header.Get("Idempotency-Advice"); got != "none" {
				t.Errorf("dialect %q: got advice %q, want none", policy.Dialect, got)
			}
		}
	}
}

// TestAdviceIsGivenInEveryDialect, with until when the key protects.
func TestAdviceIsGivenInEveryDialect(t *testing.T) {
	t.Parallel()
	for _, d := range refrainhttp.Dialects() {
		policy := d.Policy
		policy.Key = refrainhttp.Key{}
		do := publish(t, refrainhttp.Config{Policy: policy}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) })
		resp := do("POST", "/", "Idempotency-Key: k", "Authorization: x")
		if resp.Header.Get("Idempotency-Advice") != "none" || resp.Header.Get("Idempotency-Expires") == "" {
			t.Errorf("%s: got %v, want advice, and until when the key protects", d.Name, resp.Header)
		}
	}
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	status := 200
	s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	for _, tt := range []struct {
		key    string
		status int
		want   string
	}{
		{"done", 201, "none"},
		{"refused", 422, "new-key"},
		{"refused", 422, "new-key"}, // replayed
		{"busy", 429, "same-key"},
		{"broken", 500, "same-key"},
		{"broken", 500, "same-key"},
	} {
		status = tt.status
		r, err := http.NewRequest("POST", s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Idempotency-Key", tt.key)
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Get("Idempotency-Advice"); got != tt.want {
			t.Errorf("%d: got advice %q, want %q", tt.status, got, tt.want)
		}
	}
}
