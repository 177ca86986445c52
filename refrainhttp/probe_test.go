package refrainhttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A clerk is an API that is asked what became of operations.
type clerk struct {
	*httptest.Server
	asked atomic.Int64
	seen  chan *http.Request
}

func newClerk(t *testing.T, answer http.HandlerFunc) *clerk {
	t.Helper()
	c := &clerk{seen: make(chan *http.Request, 100)}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.asked.Add(1)
		c.seen <- r
		answer(w, r)
	}))
	c.Config.ErrorLog = discardLog()
	c.Start()
	t.Cleanup(c.Close)
	return c
}

// probing is a policy that has the clerk asked at once.
func (c *clerk) probing() refrainhttp.Policy {
	p := atOnce()
	p.Operation = refrain.Policy{Unknown: refrain.Probe, Quiet: -1, ProbeTimeout: 10 * time.Second, Wait: time.Minute}
	p.Limits.ResponseBody = 1000
	p.Probe = refrainhttp.Probe{
		URL: "/charges?key=${key}", Base: c.URL, Answer: refrainhttp.ReplayProbe,
		Happened:     refrainhttp.Expectation{Pointer: "/status", Equals: []string{"succeeded"}},
		DidNotHappen: refrainhttp.Expectation{Status: []string{"404"}},
	}
	return p
}

// doubtful is a handler whose first run for a key leaves open whether it happened.
func doubtful() http.HandlerFunc {
	var ran sync.Map
	return func(w http.ResponseWriter, r *http.Request) {
		if _, again := ran.LoadOrStore(r.Header.Get("Idempotency-Key"), true); !again {
			refrainhttp.SetOutcome(r.Context(), refrainhttp.Unknown)
			w.WriteHeader(http.StatusOK) // not kept: nobody may take it for a success
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "second")
	}
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Set-Cookie", "secret=1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestProbeHappenedIsRecorded(t *testing.T) {
	t.Parallel()
	c := newClerk(t, says(200, `{"id":"ch_1","status":"succeeded"}`))
	s := newSite(t, oneRoute(c.probing()), doubtful())
	if r := s.do(post("k1", "{}")); r.status() != "unknown" {
		t.Fatalf("got %v, want an unknown operation", r)
	}
	first := s.do(post("k1", "{}"))
	if first.code != 200 || first.body != `{"id":"ch_1","status":"succeeded"}` || first.status() != "replayed" ||
		first.header.Get("Content-Type") != "application/json" || first.header.Get("Set-Cookie") != "" {
		t.Errorf("got %v, want the answer to the probe, without its cookie", first)
	}
	s.same(first, s.do(post("k1", "{}")))
	s.ran(1)
	if n := c.asked.Load(); n != 1 {
		t.Errorf("the API was asked %d times, want 1", n)
	}
}

func TestProbeHappenedAsATombstone(t *testing.T) {
	t.Parallel()
	c := newClerk(t, says(200, `{"status":"succeeded"}`))
	p := c.probing()
	p.Probe.Answer = ""
	s := newSite(t, oneRoute(p), doubtful())
	s.do(post("k1", "{}"))
	for range 2 {
		if r := s.do(post("k1", "{}")); r.code != http.StatusConflict || r.problem().Code != "not-replayable" {
			t.Errorf("got %v, want word that it is done", r)
		}
	}
	s.ran(1)
}

// TestProbeByHead understands an answer that does not say how long that to GET would be, as most do not.
func TestProbeByHead(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{200: "not-replayable", 404: ""} {
		c := newClerk(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		p := c.probing()
		p.Probe.Method, p.Probe.Answer = http.MethodHead, ""
		p.Probe.Happened = refrainhttp.Expectation{Status: []string{"200"}}
		s := newSite(t, oneRoute(p), doubtful())
		s.do(post("k1", "{}"))
		if r := s.do(post("k1", "{}")); r.problem().Code != want {
			t.Errorf("%d: got %v, want the problem %q", status, r, want)
		}
	}
}

func TestProbeDidNotHappenRuns(t *testing.T) {
	t.Parallel()
	c := newClerk(t, says(404, ""))
	s := newSite(t, oneRoute(c.probing()), doubtful())
	s.do(post("k1", "{}"))
	if r := s.do(post("k1", "{}")); r.code != http.StatusCreated || r.status() != "executed" {
		t.Errorf("got %v, want it run", r)
	}
	if r := s.do(post("k1", "{}")); r.body != "second" || r.status() != "replayed" {
		t.Errorf("got %v, want the second run's answer", r)
	}
	s.ran(2)
}

// TestProbeThatTellsNothing leaves the operation unknown, whatever the API does instead of an answer.
func TestProbeThatTellsNothing(t *testing.T) {
	t.Parallel()
	const yes = `{"status":"succeeded"}`
	elsewhere := newClerk(t, says(200, yes))
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, text)
				_ = conn.Close()
			}
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"it meets neither":      says(200, `{"status":"pending"}`),
		"another status":        says(500, yes),
		"nothing there":         says(200, `{"state":"succeeded"}`),
		"not JSON":              says(200, `status: succeeded`),
		"no single meaning":     says(200, `{"status":"failed","status":"succeeded"}`),
		"too long":              says(200, `{"status":"succeeded","pad":"`+strings.Repeat("x", 1000)+`"}`),
		"a redirect":            func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"an endless head":       raw("HTTP/1.1 200 OK\r\nX-Pad: " + strings.Repeat("x", 100_000) + "\r\n\r\n" + yes),
		"not HTTP":              raw("SSH-2.0-OpenSSH\r\n"),
		"nothing":               raw(""),
		"cut short":             raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + yes),
		"cut short in a chunk":  raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n16\r\n" + yes + "\r\n"),
		"cut short, with a 404": raw("HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nno"),
		"404, maybe cut short":  raw("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nno"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClerk(t, answer)
			s := newSite(t, oneRoute(c.probing()), doubtful())
			s.do(post("k1", "{}"))
			for range 3 {
				if r := s.do(post("k1", "{}")); r.code != http.StatusConflict || r.status() != "unknown" {
					t.Errorf("got %v, want it unknown", r)
				}
			}
			s.ran(1)
			if c.asked.Load() == 0 {
				t.Error("the API was not asked")
			}
		})
	}
	t.Cleanup(func() {
		if n := elsewhere.asked.Load(); n != 0 {
			t.Errorf("redirects were followed %d times", n)
		}
	})
}

// TestProbeThatHangsIsBounded by its timeout: the client hears of it while the API still says nothing.
func TestProbeThatHangsIsBounded(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]bool{"before its head": false, "within its body": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answered := make(chan struct{})
			c := newClerk(t, func(w http.ResponseWriter, r *http.Request) {
				if head {
					_, _ = io.WriteString(w, `{"status":`)
					_ = http.NewResponseController(w).Flush()
				}
				select {
				case <-answered:
				case <-r.Context().Done(): // the probe was given up
				}
			})
			p := c.probing()
			p.Operation.ProbeTimeout = 100 * time.Millisecond
			s := newSite(t, oneRoute(p), doubtful())
			s.do(post("k1", "{}"))
			if r := s.do(post("k1", "{}")); r.status() != "unknown" {
				t.Errorf("got %v, want it unknown", r)
			}
			close(answered)
			s.ran(1)
		})
	}
}

func TestConcurrentRetriesCauseOneProbe(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	c := newClerk(t, func(w http.ResponseWriter, r *http.Request) {
		<-open
		says(200, `{"status":"succeeded"}`)(w, r)
	})
	s := newSite(t, oneRoute(c.probing()), doubtful())
	s.do(post("k1", "{}"))
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			if r := s.do(post("k1", "{}")); r.status() != "replayed" {
				t.Errorf("got %v, want the answer to the probe", r)
			}
		})
	}
	<-c.seen
	close(open)
	all.Wait()
	s.ran(1)
	if n := c.asked.Load(); n != 1 {
		t.Errorf("the API was asked %d times, want 1", n)
	}
}

// TestProbesAreBoundedInNumber when many operations are unknown at one time: the others stay unknown meanwhile.
func TestProbesAreBoundedInNumber(t *testing.T) {
	t.Parallel()
	const operations, bound = 40, 16
	open := make(chan struct{})
	c := newClerk(t, func(w http.ResponseWriter, r *http.Request) {
		<-open
		says(200, `{"status":"succeeded"}`)(w, r)
	})
	s := newSite(t, oneRoute(c.probing()), doubtful())
	for i := range operations {
		s.do(post(fmt.Sprint("k", i), "{}"))
	}
	answers := make(chan reply, operations)
	for i := range operations {
		go func() { answers <- s.do(post(fmt.Sprint("k", i), "{}")) }()
	}
	got := map[string]int{}
	for i := range operations {
		if i == operations-bound {
			close(open)
		}
		got[(<-answers).status()]++
	}
	if n := c.asked.Load(); n != bound || got["replayed"] != bound || got["unknown"] != operations-bound {
		t.Errorf("the API was asked %d times at once, and retries heard %v; want %d", n, got, bound)
	}
	s.ran(operations)
}

// TestProbeIsTheRequestThatWasConfigured, and nothing of the retry goes with it unasked.
func TestProbeIsTheRequestThatWasConfigured(t *testing.T) {
	t.Parallel()
	c := newClerk(t, says(404, ""))
	p := c.probing()
	p.Probe.URL = "/accounts/${path:id}/charges/${key}?attempt=${attempt}&p=a%20b"
	p.Probe.Header = []string{
		"Authorization: ${header:authorization}", "Host: payments.internal", "X-Key: <${key}>", "X-Fixed: 1", "Idempotency-Key: ${key}",
	}
	cfg := refrainhttp.Config{Routes: []refrainhttp.Route{{Match: []string{"POST /accounts/{id}/charges"}, Policy: p}}}
	attempts := make(chan string, 2)
	doubt := doubtful()
	s := newSite(t, cfg, func(w http.ResponseWriter, r *http.Request) {
		attempts <- r.Header.Get("Idempotency-Attempt")
		doubt(w, r)
	})
	a := post(`"k:1"`, `{"secret":1}`).with("Authorization", "Bearer alice").with("Cookie", "a=b").with("X-Other", "1")
	a.path = "/accounts/x%20y/charges?q=1"
	s.do(a)
	s.do(a)
	r := <-c.seen
	want := "/accounts/x%20y/charges/k%3A1?attempt=" + <-attempts + "&p=a%20b"
	if r.Method != http.MethodGet || r.RequestURI != want || r.Host != "payments.internal" || r.ContentLength != 0 {
		t.Errorf("got %s %s for host %s, want GET %s for payments.internal", r.Method, r.RequestURI, r.Host, want)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer alice", "X-Key": "<k:1>", "X-Fixed": "1", "Idempotency-Key": "k:1", "Accept-Encoding": "identity",
		"Cookie": "", "X-Other": "", "Idempotency-Attempt": "", "X-Forwarded-For": "",
	} {
		if got := r.Header.Get(name); got != value {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
	s.ran(2)
}

// TestKeysThatCannotBeAskedAbout leave the operation unknown, and the API in peace.
func TestKeysThatCannotBeAskedAbout(t *testing.T) {
	t.Parallel()
	c := newClerk(t, says(404, ""))
	p := c.probing()
	p.Probe.URL = "/charges/${key}/x"
	s := newSite(t, oneRoute(p), doubtful())
	for _, key := range []string{"..", "a/b", "../../admin", "%2e%2e", `"a\\b"`} {
		s.do(post(key, "{}"))
		if r := s.do(post(key, "{}")); r.status() != "unknown" {
			t.Errorf("%s: got %v, want it unknown", key, r)
		}
	}
	if n := c.asked.Load(); n != 0 {
		t.Errorf("the API was asked %d times", n)
	}
}

// TestProbesWaitUntilItIsQuiet: by default as long as an execution may last.
func TestProbesWaitUntilItIsQuiet(t *testing.T) {
	t.Parallel()
	c := newClerk(t, says(404, ""))
	p := c.probing()
	p.Operation.Quiet = 0
	s := newSite(t, oneRoute(p), doubtful())
	s.do(post("k1", "{}"))
	if r := s.do(post("k1", "{}")); r.status() != "unknown" || c.asked.Load() != 0 {
		t.Errorf("got %v after %d probes, want it unknown after none", r, c.asked.Load())
	}
	s.ran(1)
}

// TestObserveAsksNobody: it never interferes.
func TestObserveAsksNobody(t *testing.T) {
	t.Parallel()
	c := newClerk(t, says(404, ""))
	p := c.probing()
	p.Mode = refrainhttp.Observe
	s := newSite(t, oneRoute(p), doubtful())
	for range 3 {
		s.do(post("k1", "{}"))
	}
	if n := c.asked.Load(); n != 0 {
		t.Errorf("the API was asked %d times", n)
	}
}

// TestFailedProbesAreLoggedWithoutTheirKey: neither the URL that was asked nor what came back is repeated.
func TestFailedProbesAreLoggedWithoutTheirKey(t *testing.T) {
	t.Parallel()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	garbled := newClerk(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = io.WriteString(conn, "s3cret-answer\r\n\r\n")
			_ = conn.Close()
		}
	})
	for _, base := range []string{"http://" + gone.Addr().String(), garbled.URL} {
		var text bytes.Buffer
		log := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
		guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		p := garbled.probing()
		p.Probe.Base = base
		p.Probe.Header = []string{"X-Key: ${key}", "Authorization: Bearer s3cret-token"}
		m, err := refrainhttp.New(guard, refrainhttp.Config{Policy: p, Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		h := m.Wrap(doubtful())
		for range 2 {
			h.ServeHTTP(httptest.NewRecorder(), request(http.MethodPost, "s3cret-key"))
		}
		if got := text.String(); !strings.Contains(got, "probe failed") || strings.Contains(got, "s3cret") {
			t.Errorf("got log\n%s\nwant the failure without a secret", got)
		}
		_ = guard.Close(context.Background())
	}
}

// TestProbesThatMakeNoSense are refused, each by the name of its field.
func TestProbesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*refrainhttp.Policy){
		"url":                               func(p *refrainhttp.Policy) { p.Probe.URL = "" },
		"method":                            func(p *refrainhttp.Policy) { p.Probe.Method = http.MethodDelete },
		"answer":                            func(p *refrainhttp.Policy) { p.Probe.Answer = "echo" },
		"headers":                           func(p *refrainhttp.Policy) { p.Probe.Header = []string{"Connection: upgrade"} },
		"happened.status":                   func(p *refrainhttp.Policy) { p.Probe.Happened.Status = []string{} },
		"happened.equals":                   func(p *refrainhttp.Policy) { p.Probe.Happened.Equals = []string{} },
		"did_not_happen.pointer":            func(p *refrainhttp.Policy) { p.Probe.DidNotHappen.Pointer = "/a~" },
		"did_not_happen.status":             func(p *refrainhttp.Policy) { p.Probe.DidNotHappen.Status = []string{"100"} },
		"did_not_happen.status of any body": func(p *refrainhttp.Policy) { p.Probe.DidNotHappen.Status = []string{"200"} },
		"did_not_happen.status as well": func(p *refrainhttp.Policy) {
			p.Probe.Happened, p.Probe.DidNotHappen = refrainhttp.Expectation{Status: []string{"2xx"}}, refrainhttp.Expectation{Pointer: "/none"}
		},
		"happened.status twofold": func(p *refrainhttp.Policy) { p.Probe.Happened.Status = []string{"6xx"} },
	} {
		p := (&clerk{Server: &httptest.Server{URL: "http://127.0.0.1:1"}}).probing()
		change(&p)
		var wrong *refrainhttp.ProbeError
		err := p.Validate()
		if name, _, _ := strings.Cut(field, " "); !errors.As(err, &wrong) || wrong.Field != name {
			t.Errorf("%s: got error %v", field, err)
		}
	}
	if err := (&refrainhttp.Policy{Operation: refrain.Policy{Unknown: refrain.Probe}}).Validate(); err == nil {
		t.Error("a policy that asks whom? got no error")
	}
}
