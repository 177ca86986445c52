package refrainhttp_test

import (
	"testing"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// at returns the status of a keyed request to a host.
func (s *site) at(host, path string) string {
	s.t.Helper()
	r := ask{path: path, key: "k", body: "1"}.with("Authorization", "a").request(s.t.Context(), s.URL)
	r.Host = host
	res, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.Header.Get("Idempotency-Status")
}

// A host that counts is compared as hosts are, though it is no field of an http.Header.
func TestHostsThatCountAreCompared(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(refrainhttp.Policy{Fingerprint: refrainhttp.Fingerprint{Headers: []string{"X-A", "host", "X-B"}}}), charge())
	for _, c := range []struct{ host, want string }{
		{"one.example", "executed"}, {"two.example", "mismatch"}, {"ONE.example", "replayed"}, {"one.example:80", "mismatch"},
	} {
		if got := s.at(c.host, "/charges"); got != c.want {
			t.Errorf("%s: got %s, want %s", c.host, got, c.want)
		}
	}
}

// The same path of two hosts with patterns of their own is two resources, and a host in capitals is no way around a pattern.
func TestPatternsOfHosts(t *testing.T) {
	t.Parallel()
	for _, route := range []refrainhttp.RouteScope{refrainhttp.RoutePattern, refrainhttp.RoutePath} {
		s := newSite(t, refrainhttp.Config{Routes: []refrainhttp.Route{{
			Match: []string{"POST one.example/charges", "POST two.example/charges"}, Policy: refrainhttp.Policy{RouteScope: route},
		}}}, charge())
		for _, c := range []struct{ host, want string }{
			{"one.example", "executed"},
			{"two.example", "executed"},
			{"ONE.example", "replayed"},
			{"one.example.", "replayed"},
			{"Two.Example.:80", "replayed"},
			{"three.example", ""},
		} {
			if got := s.at(c.host, "/charges"); got != c.want {
				t.Errorf("%s, scope by %s: got %q, want %q", c.host, route, got, c.want)
			}
		}
		if got := s.at("ONE.example", "//charges"); got != map[bool]string{true: "mismatch", false: "executed"}[route == refrainhttp.RoutePattern] {
			t.Errorf("scope by %s: an unclean path got %q", route, got)
		}
	}
}
