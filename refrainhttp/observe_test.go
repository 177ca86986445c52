package refrainhttp_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// Observe mode reports what enforce mode would do, and changes nothing: every answer is what it would be without the
// middleware.
func TestObserveNeverInterferes(t *testing.T) {
	t.Parallel()
	h := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Set-Cookie", "a=1")
		w.Header().Set("Connection", "keep-alive")
		if code := r.Header.Get("X-Code"); code != "" {
			w.WriteHeader(429)
		}
		fmt.Fprintf(w, "%d %d %s %q", len(body), r.ContentLength, r.Header.Get("Idempotency-Fence"), r.TransferEncoding)
	}
	p := refrainhttp.Policy{Mode: refrainhttp.Observe, Key: refrainhttp.Key{Required: true}}
	p.Limits = refrainhttp.Limits{RequestBody: 1000, ResponseBody: 20}
	watched, bare := newSite(t, oneRoute(p), h), newSite(t, oneRoute(refrainhttp.Policy{Mode: refrainhttp.Off}), h)
	for i, tt := range []struct {
		ask    ask
		status refrainhttp.Status
		code   int
		probl  string
	}{
		{post("k", "1"), refrainhttp.StatusExecuted, 200, ""},
		{post("k", "1"), refrainhttp.StatusReplayed, 200, ""},
		{post("k", "2"), refrainhttp.StatusMismatch, 422, "key-mismatch"},
		{post("", "1"), refrainhttp.StatusRefused, 400, "key-missing"},
		{post(`"`, "1"), refrainhttp.StatusRefused, 400, "key-invalid"},
		{post("big", strings.Repeat("x", 1001)), refrainhttp.StatusRefused, 413, "body-too-large"},
		{post("full", strings.Repeat("x", 1000)), refrainhttp.StatusExecuted, 200, ""},
		{post("spoof", "1").with("Idempotency-Fence", "123456789012345"), refrainhttp.StatusExecuted, 200, ""},
		{post("spoof", "1").with("Idempotency-Fence", "123456789012345"), refrainhttp.StatusReplayed, 409, "not-replayable"},
		{post("limited", "1").with("X-Code", "429"), refrainhttp.StatusExecuted, 429, ""},
		{post("limited", "1").with("X-Code", "429"), refrainhttp.StatusExecuted, 429, ""},
	} {
		for _, chunked := range []bool{false, true} {
			if chunked && tt.ask.key != "big" && tt.ask.key != "" {
				continue
			}
			got, want := sendSome(t, watched, tt.ask, chunked), sendSome(t, bare, tt.ask, chunked)
			got.header.Del("Date")
			want.header.Del("Date")
			if got.code != want.code || got.body != want.body || !maps.EqualFunc(got.header, want.header, slices.Equal[[]string]) {
				t.Errorf("%d: got %v, want %v", i, got, want)
			}
			eventually(t, "the outcome is recorded", func() bool { return watched.guard.Running() == 0 })
		}
		watched.events.mu.Lock()
		e := watched.events.all[len(watched.events.all)-1]
		watched.events.mu.Unlock()
		if e.Status != tt.status || e.Code != tt.code || e.Problem != tt.probl || e.Mode != refrainhttp.Observe {
			t.Errorf("%d: reported %+v, want %s %d %q", i, e, tt.status, tt.code, tt.probl)
		}
	}
	if got, want := watched.runs.Load(), bare.runs.Load(); got != want {
		t.Errorf("the handler ran %d times, want %d", got, want)
	}
}

func sendSome(t *testing.T, s *site, a ask, chunked bool) reply {
	t.Helper()
	r := a.request(t.Context(), s.URL)
	if chunked {
		r.ContentLength = -1
	}
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return reply{code: res.StatusCode, header: res.Header, body: string(b)}
}

// What is flushed in observe mode arrives at once.
func TestObserveFlows(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	s := newSite(t, oneRoute(refrainhttp.Policy{Mode: refrainhttp.Observe}), func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "one\n")
		w.(http.Flusher).Flush()
		<-gate
		_, _ = io.Copy(w, strings.NewReader("two\n"))
	})
	res, err := s.Client().Do(post("k", "1").request(t.Context(), s.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	if got, err := lines.ReadString('\n'); got != "one\n" {
		t.Errorf("got %q, %v, want one", got, err)
	}
	close(gate)
	if got, err := lines.ReadString('\n'); got != "two\n" {
		t.Errorf("got %q, %v, want two", got, err)
	}
}

func TestObserveWithoutTheStore(t *testing.T) {
	t.Parallel()
	for _, down := range []refrain.StoreDownPolicy{refrain.FailClosed, refrain.FailOpen} {
		p := refrainhttp.Policy{Mode: refrainhttp.Observe, Operation: refrain.Policy{StoreDown: down}}
		s := newSite(t, oneRoute(p), charge())
		s.store.claims.Store(true)
		if got := s.do(post("k", "1")); got.code != 201 || got.status() != "" || !strings.Contains(got.body, `"for":"1"`) {
			t.Errorf("got %v, want the handler's answer, unmarked", got)
		}
		want := refrainhttp.StatusRefused
		if down == refrain.FailOpen {
			want = refrainhttp.StatusBypassed
		}
		if got := s.events.statuses(); len(got) != 1 || got[0] != want {
			t.Errorf("reported %v, want %v", got, want)
		}
	}
}

// What was observed counts when the mode becomes enforce: nothing that ran before runs again.
func TestObserveThenEnforce(t *testing.T) {
	t.Parallel()
	h := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/incomplete":
			refrainhttp.MarkIncomplete(r.Context())
		case "/panic":
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Foo", "1")
		fmt.Fprint(w, "<html>")
	}
	s := newSite(t, oneRoute(refrainhttp.Policy{Mode: refrainhttp.Observe}), h)
	m, err := refrainhttp.New(s.guard, refrainhttp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	observed := map[string]reply{}
	for _, path := range []string{"/", "/incomplete", "/panic"} {
		observed[path] = s.try(t.Context(), ask{path: path, key: "k" + path})
	}
	eventually(t, "outcomes are recorded", func() bool { return s.guard.Running() == 0 })
	enforced := &site{Server: httptest.NewServer(m.Wrap(http.HandlerFunc(h))), t: t}
	defer enforced.Close()

	got := enforced.do(ask{path: "/", key: "k/"})
	s.same(observed["/"], got)
	if got.header.Get("X-Foo") != "1" || got.header.Get("Content-Type") != observed["/"].header.Get("Content-Type") {
		t.Errorf("got %v, want the observed header", got)
	}
	for _, path := range []string{"/incomplete", "/panic"} {
		if got := enforced.do(ask{path: path, key: "k" + path}); got.code != 409 || got.status() != "unknown" {
			t.Errorf("%s got %v, want 409 unknown", path, got)
		}
	}
}
