package refrainhttp_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// keyInBody takes the key from the body, so that the body is read before anything is known of the request.
func keyInBody(required bool) refrainhttp.Policy {
	p := atOnce()
	p.Key = refrainhttp.Key{From: []string{"body:/key"}, Required: required}
	p.Limits.RequestBody = 1000
	return p
}

func TestKeyInTheBody(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(keyInBody(false)), charge())
	first := s.do(post("", `{"key":"k","a":1}`))
	if first.code != 201 || !strings.Contains(first.body, `"for":"{\"key\":\"k\",\"a\":1}"`) {
		t.Errorf("got %s, want the whole body passed on", first)
	}
	s.same(first, s.do(post("", `{"a":1.0, "key":"k"}`)))
	if r := s.do(post("", `{"key":"k","a":2}`)); r.problem().Code != "key-mismatch" {
		t.Errorf("got %s, want a mismatch", r)
	}
	s.ran(1)
	for range 2 { // without a key it runs each time, whole
		if r := s.do(post("", `{"a":1}`)); r.code != 201 || !strings.Contains(r.body, `"for":"{\"a\":1}"`) || r.status() != "" {
			t.Errorf("got %s, want it passed on", r)
		}
	}
	s.ran(3)
	for body, code := range map[string]string{
		`{"key":"k","key":"l"}`:                      "key-invalid",
		`{"key":["k"]}`:                              "key-invalid",
		"{\"key\":\"k\",\"a\":\"\xff\"}":             "key-invalid",
		`{"key":"` + strings.Repeat("k", 300) + `"}`: "key-invalid",
		strings.Repeat(" ", 1001):                    "body-too-large",
	} {
		if r := s.do(post("", body)); r.problem().Code != code {
			t.Errorf("%.40q: got %s, want %s", body, r, code)
		}
	}
	s.ran(3)
}

func TestKeyInTheBodyIsRequired(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(keyInBody(true)), charge())
	for _, body := range []string{"", "{}", "no JSON"} {
		if r := s.do(post("", body)); r.code != 400 || r.problem().Code != "key-missing" {
			t.Errorf("%q: got %s, want key-missing", body, r)
		}
	}
	s.ran(0)
}

func TestObserveSeesTheKeyInTheBody(t *testing.T) {
	t.Parallel()
	p := keyInBody(true)
	p.Mode = refrainhttp.Observe
	s := newSite(t, oneRoute(p), charge())
	long := strings.Repeat(" ", 1001)
	for _, body := range []string{`{"key":"k"}`, `{"key":"k"}`, `{}`, `{"key":"k","key":"l"}`, long} {
		if r := s.do(post("", body)); r.code != 201 || len(r.body) < len(body) {
			t.Errorf("%.40q: got %s, want it passed on whole", body, r)
		}
	}
	s.ran(5)
	want := []refrainhttp.Status{
		refrainhttp.StatusExecuted, refrainhttp.StatusReplayed, refrainhttp.StatusRefused, refrainhttp.StatusRefused,
		refrainhttp.StatusRefused,
	}
	if got := s.events.statuses(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// signed accepts the requests whose body is their signature.
func signed() refrainhttp.Policy {
	p := atOnce()
	p.Verify = func(r *http.Request, body []byte) error {
		if r.Header.Get("X-Signature") != string(body) {
			return errors.New("the signature is not the body's")
		}
		return nil
	}
	return p
}

func TestUnverifiedRequestsTouchNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(signed()), charge())
	forged := post("k", "a").with("X-Signature", "b")
	s.store.claims.Store(true) // a claim would fail
	if r := s.do(forged); r.code != 401 || r.problem().Code != "signature-invalid" || strings.Contains(r.body, "the body's") {
		t.Errorf("got %s, want a refusal", r)
	}
	s.store.claims.Store(false)
	s.ran(0)
	first := s.do(post("k", "a").with("X-Signature", "a"))
	s.same(first, s.do(post("k", "a").with("X-Signature", "a")))
	if r := s.do(forged); r.code != 401 {
		t.Errorf("got %s, want the recorded answer kept from who cannot sign", r)
	}
	if r := s.do(post("", "a").with("X-Signature", "b")); r.code != 401 {
		t.Errorf("got %s for a request without a key, want a refusal", r)
	}
	s.ran(1)
}

func TestRefuseMode(t *testing.T) {
	t.Parallel()
	p := atOnce()
	p.Mode = refrainhttp.Refuse
	s := newSite(t, oneRoute(p), charge())
	if r := s.do(post("k", "a")); r.code != 501 || r.problem().Code != "not-supported" {
		t.Errorf("got %s, want 501", r)
	}
	s.ran(0)
	if r := s.do(post("", "a")); r.code != 201 {
		t.Errorf("got %s, want what has no key passed on", r)
	}
}

func TestDamagedBodyIsRefused(t *testing.T) {
	t.Parallel()
	p := atOnce()
	p.Fingerprint.Digest = refrainhttp.DigestVerify
	s := newSite(t, oneRoute(p), charge())
	const ofA = "sha-256=:ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=:"
	if r := s.do(post("k", "b").with("Content-Digest", ofA)); r.code != 400 || !strings.Contains(r.problem().Detail, "Content-Digest") {
		t.Errorf("got %s, want a refusal that names Content-Digest", r)
	}
	s.ran(0)
	first := s.do(post("k", "a").with("Content-Digest", ofA))
	s.same(first, s.do(post("k", "a")))
	s.ran(1)
}
