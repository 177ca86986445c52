package refrainhttp_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// mustSign is a policy of an inbox: whoever writes the password in X-Signature has signed.
func mustSign() refrainhttp.Policy {
	return refrainhttp.Policy{Verify: func(r *http.Request, _ []byte) error {
		if r.Header.Get("X-Signature") != "s3cret" {
			return errors.New("forged")
		}
		return nil
	}}
}

// raw sends a request as it stands, and returns the status of its answer.
func (s *site) raw(method, target, host, more string) (status int) {
	s.t.Helper()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n\r\n{}", method, target, host, more)
	answer, err := io.ReadAll(c)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(answer), "HTTP/1.1 %d", &status); err != nil {
		s.t.Fatalf("%s %s: got %q", method, target, answer)
	}
	return status
}

// Nobody gets past the signature by another spelling that the API behind takes for the inbox.
func TestNoSpellingPassesTheSignature(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{Routes: []refrainhttp.Route{
		{
			Match: []string{
				"POST /hooks/github", "POST /Hooks/v1.0/{name}", "POST /in.php", "POST /tree/", "POST /rest/{all...}",
				"POST hooks.example.com/there", "POST /exactly/{$}",
			},
			Policy: mustSign(),
		},
		{Match: []string{"POST /hooks/github/own", "PUT /hooks/github", "POST /hooks/v1.0/Mine"}},
	}}, charge())
	const length = "Content-Length: 2"
	for _, target := range []string{
		"/hooks/github", "/hooks/github/", "/hooks/github//", "/hooks/GitHub", "/HOOKS/github", "/hooks/%67ithub", "/hooks/%2567ithub",
		"/hooks%2fgithub", "/hooks%252Fgithub", "/hooks%5Cgithub", "//hooks/github", "/./hooks/github", "/x/../hooks/github",
		"/x/%2e%2e/hooks/github", "/x/..%2fhooks/github", "/hooks/github;a=1", "/hooks;a/github", "/hooks/github%00", "/hooks/github%20",
		"/hooks/github.", "/hooks/github.json", "/hooks/github?a=1", "/index.php/hooks/github", "/Index.PHP/hooks/github/",
		"/app/../index.php/hooks/github", "http://a/hooks/github/", "/hooks/v1.0/a", "/hooks/v1.0/b/", "/in.php", "/in.PHP", "/in",
		"/in.php/more/of/it", "/tree", "/tree/", "/tree/a/b", "/Tree/a%2fb", "/rest", "/rest/", "/REST/a/b", "/exactly/", "/exactly",
	} {
		for _, method := range []string{"POST", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS", "X-ANY"} {
			if got := s.raw(method, target, "a", length); got != http.StatusUnauthorized {
				t.Errorf("%s %s: got %d without a signature, want 401", method, target, got)
			}
		}
	}
	for _, host := range []string{"hooks.example.com", "Hooks.Example.com", "hooks.example.com.", "hooks.example.com:80", "hooks.example.com.:8080"} {
		if got := s.raw("POST", "/there", host, length); got != http.StatusUnauthorized {
			t.Errorf("host %s: got %d without a signature, want 401", host, got)
		}
	}
	s.ran(0)
}

// What is no inbox needs no signature, and who can sign may spell as he likes.
func TestOnlyInboxesNeedASignature(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{Routes: []refrainhttp.Route{
		{Match: []string{"POST /hooks/{name}", "POST hooks.example.com/"}, Policy: mustSign()},
		{Match: []string{"POST /hooks/Own", "POST /hooks/x/y", "PUT /hooks/{name}"}},
	}}, charge())
	const length = "Content-Length: 2"
	for _, r := range []struct{ method, target, host, more string }{
		{"POST", "/hooks/Own", "a", length},
		{"POST", "/hooks/x/y", "a", length},
		{"POST", "/hooks/x/Y/", "a", length},
		{"PUT", "/hooks/a", "a", length},
		{"GET", "/hooks/a", "a", "X: 1"}, // without a body: some senders ask first whether somebody is there
		{"GET", "/other", "a", length},
		{"POST", "/other/hooks/a", "a", length},
		{"POST", "/hook/a", "a", length},
		{"POST", "/", "a", length},
		{"GET", "/", "hooks.example.com", "X: 1"},
		{"DELETE", "/x", "hooks.example.com", length}, // an inbox that is everything is so for its method only
		{"POST", "/Hooks/a/", "a", length + "\r\nX-Signature: s3cret"},
	} {
		if got := s.raw(r.method, r.target, r.host, r.more); got != http.StatusCreated {
			t.Errorf("%v: got %d, want it let through", r, got)
		}
	}
	if got := s.raw("POST", "/x", "HOOKS.example.com", length); got != http.StatusUnauthorized {
		t.Errorf("got %d without a signature, want 401", got)
	}
	twice := ask{path: "/hooks/a", key: "k", body: "1"}.with("X-Signature", "s3cret")
	first := s.do(twice)
	twice.path = "/hooks/A/"
	if got := s.do(twice); got.code != http.StatusUnprocessableEntity { // the same operation: the path is compared
		t.Errorf("got %v after %v, want the same operation", got, first)
	}
}
