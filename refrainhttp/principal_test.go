package refrainhttp_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain/refrainhttp"
)

var errForged = errors.New("the badge is forged")

// badges are sources of a scheme "badge": X-Badge names the principal, "forged" does not, and an empty one is none.
func badges(f refrainhttp.Finder) refrainhttp.Sources {
	f.Reads = []string{"X-Badge"}
	return refrainhttp.Sources{"badge": func(name string) (refrainhttp.Finder, error) {
		f.Find = func(r *http.Request) (string, error) {
			who := r.Header.Get("X-Badge")
			if who == "forged" {
				return "", errForged
			}
			return who + strings.TrimPrefix(name, "a"), nil
		}
		return f, nil
	}}
}

// badged is a site whose principals are badges, then header fields.
func badged(t *testing.T, f refrainhttp.Finder, p refrainhttp.Policy) *site {
	t.Helper()
	p.Principal = []refrainhttp.Source{"badge:a", "header:X-Account"}
	cfg := oneRoute(p)
	cfg.Sources = badges(f)
	return newSite(t, cfg, charge())
}

// A credential that does not verify is refused: its bearer is neither anonymous nor whom the next source names.
func TestUnprovenCallersAreRefused(t *testing.T) {
	t.Parallel()
	for challenge, want := range map[string]struct {
		status       int
		code, advice string
	}{
		`Bearer error="invalid_token"`: {401, "caller-unproven", "same-key"}, "": {403, "caller-unclear", "none"},
	} {
		s := badged(t, refrainhttp.Finder{Challenge: challenge}, refrainhttp.Policy{})
		for _, a := range []ask{post("k", "1"), post("k", "1").with("X-Account", "a")} {
			s.do(a)
			got := s.do(a.with("X-Badge", "forged"))
			if got.code != want.status || got.problem().Code != want.code || got.header.Get("WWW-Authenticate") != challenge ||
				got.header.Get("Idempotency-Advice") != want.advice || got.problem().Detail != "The badge is forged." {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		s.ran(2)
		if got := s.do(post("", "1").with("X-Badge", "forged")); got.code != 201 {
			t.Errorf("a request without a key got %v, want it untouched", got)
		}
	}
}

// In observe mode the refusal is only reported.
func TestUnprovenCallersAreObserved(t *testing.T) {
	t.Parallel()
	s := badged(t, refrainhttp.Finder{}, refrainhttp.Policy{Mode: refrainhttp.Observe})
	if got := s.do(post("k", "1").with("X-Badge", "forged")); got.code != 201 {
		t.Errorf("got %v, want the handler's answer", got)
	}
	if got := s.events.statuses(); !slices.Equal(got, []refrainhttp.Status{refrainhttp.StatusRefused}) {
		t.Errorf("got %v, want a refusal", got)
	}
}

// Who has no principal, but another credential than the first, is not answered with what the first got.
func TestPromise7CredentialsOfStrangers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Cookie", "Authorization", "X-Api-Key", "X-Badge", "X-Auth-Token", "X-Tenant-Id", "X-Forwarded-User"} {
		f := refrainhttp.Finder{Find: func(*http.Request) (string, error) { return "", nil }, Reads: []string{"x-badge"}}
		cfg := oneRoute(refrainhttp.Policy{Principal: []refrainhttp.Source{"never"}})
		cfg.Sources = refrainhttp.Sources{"never": func(string) (refrainhttp.Finder, error) { return f, nil }}
		s := newSite(t, cfg, charge())
		s.do(post("k", "1").with(name, "a=1"))
		for _, other := range []ask{post("k", "1").with(name, "a=2"), post("k", "1")} {
			if got := s.do(other); got.code != 422 || got.replayed() {
				t.Errorf("%s: got %v, want a mismatch", name, got)
			}
		}
		if got := s.do(post("k", "1").with(name, "a=1")); !got.replayed() {
			t.Errorf("%s: got %v, want a replay", name, got)
		}
		s.ran(1)
	}
}

// A header that is there without a credential in it is nobody's: all who have none may send the same.
func TestPromise7NoCredentialIsNobodys(t *testing.T) {
	t.Parallel()
	for _, nothing := range []string{"", "Bearer", "bearer ", "Basic", "Bearer null", "Bearer undefined", "(null)", "Token None"} {
		s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", "s=secret")
			fmt.Fprint(w, "for "+r.Header.Get("Cookie"))
		})
		alice := post("k", "1").with("Authorization", nothing).with("Cookie", "s=alice")
		s.do(alice)
		for _, other := range []ask{alice.with("Cookie", "s=bob"), post("k", "1").with("Authorization", nothing)} {
			if got := s.do(other); got.code != 422 || got.replayed() {
				t.Errorf("%q: got %v, want that it is not another's answer", nothing, got)
			}
		}
		if got := s.do(alice); !got.replayed() || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%q: got %v, want a replay without cookies, as for any stranger", nothing, got)
		}
		if got := s.do(alice.with("X-Api-Key", "alice's")); got.status() != "executed" {
			t.Errorf("%q: got %v, want the next source asked", nothing, got)
		}
		s.ran(2)
	}
	s := newSite(t, refrainhttp.Config{}, charge())
	for _, short := range []string{"x", "Bearer x", "nobody", "bear er"} {
		s.do(post("k", "1").with("Authorization", short))
		if got := s.do(post("k", "1").with("Authorization", short).with("Cookie", "t=1")); !got.replayed() {
			t.Errorf("%q: got %v, want a principal", short, got)
		}
	}
}

// Two cookies of one name are somebody else than the first of them alone, and so is one in quotes.
func TestPromise7CookiesAreComparedWhole(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(refrainhttp.Policy{Principal: []refrainhttp.Source{"cookie:s"}}), charge())
	for i, cookies := range []string{`s=a`, `s="a"`, `s=a; s=b`, `s=b; s=a`, `t=a; s=b`, `s=ab`, `S=a`} {
		if got := s.do(post("k", "1").with("Cookie", cookies)); got.replayed() {
			t.Errorf("%s: got %v, want that it is not another's answer", cookies, got)
		}
		s.ran(int64(i + 1))
		if got := s.do(post("k", "1").with("Cookie", cookies)); !got.replayed() {
			t.Errorf("%s: got %v, want a replay", cookies, got)
		}
	}
}

// Cookies are kept for nobody who shares a principal with others.
func TestSharedPrincipalsGetNoCookies(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		cfg := oneRoute(refrainhttp.Policy{Principal: []refrainhttp.Source{"badge:a"}})
		cfg.Sources = badges(refrainhttp.Finder{Shared: shared})
		s := newSite(t, cfg, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", "s=secret")
			fmt.Fprint(w, "ok")
		})
		a := post("k", "1").with("X-Badge", "everybody")
		s.do(a)
		if got := s.do(a); !got.replayed() || (got.header.Get("Set-Cookie") == "") != shared {
			t.Errorf("shared %t: got %v", shared, got)
		}
	}
}

// A policy that lists Set-Cookie for replays without a principal that callers have for themselves is refused.
func TestSetCookieNeedsAPrincipal(t *testing.T) {
	t.Parallel()
	for source, ok := range map[refrainhttp.Source]bool{"none": false, "badge:a": false, "header:Authorization": true} {
		cfg := oneRoute(refrainhttp.Policy{Principal: []refrainhttp.Source{source}, ReplayHeaders: []string{"set-cookie"}})
		cfg.Sources = badges(refrainhttp.Finder{Shared: true})
		if _, err := newMiddleware(t, cfg); (err == nil) != ok {
			t.Errorf("%s: got error %v", source, err)
		}
	}
}

// Keys of one resource are its own.
func TestScopeByPathParameter(t *testing.T) {
	t.Parallel()
	cfg := refrainhttp.Config{Routes: []refrainhttp.Route{{
		Match:  []string{"POST /accounts/{account}/charges", "POST /accounts/{account}/refunds"},
		Policy: refrainhttp.Policy{RouteScope: "path:account"},
	}}}
	s := newSite(t, cfg, charge())
	for i, path := range []string{
		"/accounts/1/charges", "/accounts/2/charges", "/accounts/1/refunds", "/accounts/1%2F2/charges", "/accounts/%31%00/charges",
	} {
		for range 2 {
			if got := s.do(ask{path: path, key: "k", body: "1"}); got.code != 201 {
				t.Errorf("%s: got %v", path, got)
			}
			s.ran(int64(i + 1))
		}
	}
}

// Keys of one tenant are its own, whatever the order in which the policy names the headers that say so.
func TestScopeByHeaders(t *testing.T) {
	t.Parallel()
	policy := func(headers ...string) refrainhttp.Policy {
		return refrainhttp.Policy{
			RouteScope: refrainhttp.RouteNone, ScopeHeaders: headers, Fingerprint: refrainhttp.Fingerprint{Of: []string{"method"}},
		}
	}
	s := newSite(t, refrainhttp.Config{Routes: []refrainhttp.Route{
		{Match: []string{"POST /one"}, Policy: policy("x-tenant", "X-Region")},
		{Match: []string{"POST /other"}, Policy: policy("X-Region", "X-Tenant")},
	}}, charge())
	stranger := ask{path: "/one", key: "k", body: "1"}
	alice := stranger.with("Authorization", "alice")
	for i, a := range []ask{
		alice, alice.with("X-Tenant", "1"), alice.with("X-Tenant", "2"), alice.with("X-Region", "1"), alice.with("X-Tenant", ""),
		alice.with("X-Tenant", "1").with("X-Region", "1"),
		stranger, stranger.with("X-Tenant", "1"),
	} {
		if got := s.do(a); got.status() != "executed" {
			t.Errorf("request %d: got %v, want an operation of its own", i, got)
		}
		if a.path = "/other"; !s.do(a.with("X-Other", "1")).replayed() {
			t.Errorf("request %d, again: want a replay", i)
		}
	}
}

func TestScopeHeadersAreNames(t *testing.T) {
	t.Parallel()
	_, err := newMiddleware(t, oneRoute(refrainhttp.Policy{ScopeHeaders: []string{"X Tenant"}}))
	if err == nil || !strings.Contains(err.Error(), `scope: headers: "X Tenant" is not a header name`) {
		t.Errorf("got %v, want the bad name", err)
	}
}

// What net/http takes out of a header binds nothing and names nobody: a policy that relies on it is refused.
func TestNothingIsReadFromWhatIsTakenOut(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"host", "Transfer-Encoding", "Trailer"} {
		for _, p := range []refrainhttp.Policy{
			{ScopeHeaders: []string{name}}, {Principal: []refrainhttp.Source{refrainhttp.Source("header:" + name)}},
		} {
			if _, err := newMiddleware(t, oneRoute(p)); err == nil || !strings.Contains(err.Error(), "net/http takes") {
				t.Errorf("%+v: got %v, want a refusal", p, err)
			}
		}
	}
}

// Requests whose principal a function finds are never answered from their bytes alone.
func TestOnlyBytesAreRecalled(t *testing.T) {
	t.Parallel()
	for source, recalls := range map[refrainhttp.Source]bool{"badge:a": false, "header:X-Badge": true} {
		cfg := oneRoute(refrainhttp.Policy{Principal: []refrainhttp.Source{source}})
		cfg.Sources = badges(refrainhttp.Finder{})
		m, err := newMiddleware(t, cfg)
		if err != nil {
			t.Fatal(err)
		}
		h := m.Wrap(charge())
		request := func() *http.Request {
			r := httptest.NewRequest(http.MethodPost, "/charges", strings.NewReader("{}"))
			r.Header["Idempotency-Key"], r.Header["X-Badge"] = []string{"k"}, []string{"a"}
			return r
		}
		for range 2 { // runs, and is replayed by the store
			h.ServeHTTP(httptest.NewRecorder(), request())
		}
		if _, got := h.(refrainhttp.Recaller).ServeRecalled(httptest.NewRecorder(), request(), []byte("{}")); got != recalls {
			t.Errorf("%s: got recalled %t, want %t", source, got, recalls)
		}
	}
}
