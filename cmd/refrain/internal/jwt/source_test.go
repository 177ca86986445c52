package jwt

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// A website is a real server of a key set that can be exchanged. With none, it fails.
type website struct {
	*httptest.Server
	set   atomic.Pointer[[]byte]
	asked atomic.Int32
}

func newWebsite(t *testing.T) *website {
	t.Helper()
	s := &website{}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *website) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.asked.Add(1)
	data := s.set.Load()
	if data == nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(*data)
}

func (s *website) publish(data []byte) { s.set.Store(&data) }

func TestAServerOfKeysThatRotates(t *testing.T) {
	t.Parallel()
	old, next := newSigner(t, "old", "ES256"), newSigner(t, "next", "RS256")
	site := newWebsite(t)
	site.publish(published(t, old))
	v := open(t, trust(site.URL+"/jwks.json"))
	before := old.token(t, nil)
	who := wantPrincipal(t, v, before)
	site.publish(published(t, next))
	wantPrincipal(t, v, before) // nobody has asked the server yet
	if again := wantPrincipal(t, v, next.token(t, nil)); again != who {
		t.Errorf("got %q after the rotation, want %q", again, who)
	}
	wantRefused(t, v, before, ErrUnknownKey)
	site.set.Store(nil)
	wantRefused(t, v, before, ErrUnknownKey)
	wantPrincipal(t, v, next.token(t, nil))
	if n := site.asked.Load(); n != 2 {
		t.Errorf("the server was asked %d times, want 2", n)
	}
}

func TestOldKeysOutliveTheirServer(t *testing.T) {
	t.Parallel()
	s, unknown := newSigner(t, "k", "EdDSA"), newSigner(t, "unknown", "EdDSA")
	site := newWebsite(t)
	site.publish(published(t, s))
	v := open(t, trust(site.URL))
	site.Close()
	wantRefused(t, v, unknown.token(t, nil), ErrUnknownKey)
	wantPrincipal(t, v, s.token(t, nil))
}

func TestAStartWithoutKeysSaysWhy(t *testing.T) {
	t.Parallel()
	gone, empty, failing, large := newWebsite(t), newWebsite(t), newWebsite(t), newWebsite(t)
	gone.Close()
	empty.publish([]byte(`{"keys":[]}`))
	large.publish([]byte(strings.Repeat(" ", maxKeySetBytes+1)))
	elsewhere := httptest.NewServer(http.RedirectHandler(empty.URL, http.StatusFound))
	defer elsewhere.Close()
	missing := filepath.Join(t.TempDir(), "jwks.json")
	for keys, want := range map[string]string{
		gone.URL:                     "connection refused",
		empty.URL:                    "no key that can check a signature",
		failing.URL + "/?key=sesame": "the answer is 503, not 200",
		large.URL:                    "larger than 1 MiB",
		elsewhere.URL:                "redirects are not followed",
		missing:                      "no such file",
		t.TempDir():                  "is a directory",
	} {
		v, err := Open(t.Context(), trust(keys), silent)
		if err == nil {
			v.Close()
		}
		place, _, _ := strings.Cut(keys, "?")
		for _, part := range []string{want, place, issuerName} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: got %v, want %s", keys, err, part)
			}
		}
		if err != nil && strings.Contains(err.Error(), "sesame") {
			t.Errorf("the error tells the query: %v", err)
		}
	}
}
