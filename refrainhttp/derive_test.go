package refrainhttp_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

func derived(window time.Duration) refrainhttp.Policy {
	return refrainhttp.Policy{Key: refrainhttp.Key{DeriveWindow: window}}
}

// post without a key, by alice.
func keyless(body string) ask { return post("", body).with("Authorization", "alice") }

func TestDerivedKeyMergesEqualRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(derived(time.Hour)), charge())
	first := s.do(keyless(`{"a":1,"b":2}`))
	if got := first.header.Get("Idempotency-Key-Source"); got != "derived" || first.status() != "executed" {
		t.Errorf("got the key source %q and the status %q, want derived and executed", got, first.status())
	}
	if got := first.header.Values("Idempotency-Key"); got != nil {
		t.Errorf("got the key %q, want none: the client sent none", got)
	}
	again := s.do(keyless(`{"b":2, "a":1}`))
	s.same(first, again)
	if got := again.header.Get("Idempotency-Key-Source"); got != "derived" {
		t.Errorf("replay got the key source %q, want derived", got)
	}
	s.ran(1)
	for _, other := range []ask{
		keyless(`{"a":1,"b":3}`),
		keyless(`{"a":1,"b":2}`).with("Authorization", "bob"),
		{path: "/charges?x=1", body: `{"a":1,"b":2}`, header: map[string]string{"Authorization": "alice"}},
		{path: "/refunds", body: `{"a":1,"b":2}`, header: map[string]string{"Authorization": "alice"}},
		{method: http.MethodPatch, body: `{"a":1,"b":2}`, header: map[string]string{"Authorization": "alice"}},
	} {
		if got := s.do(other); got.status() != "executed" {
			t.Errorf("%+v: got %s, want it executed", other, got)
		}
	}
	if got := s.do(post("k1", `{"a":1,"b":2}`).with("Authorization", "alice")); got.status() != "executed" ||
		got.header.Get("Idempotency-Key-Source") != "" {
		t.Errorf("with a key: got %s, want it executed and no word of a derived key", got)
	}
}

// Equal requests to two hosts are two, even where one pattern serves both, but not those to two machines.
func TestDerivedKeysOfHosts(t *testing.T) {
	t.Parallel()
	b := newBench(t, derived(time.Hour), func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) })
	for _, tc := range []struct{ host, answer, status string }{
		{"a.example", "a.example", "executed"},
		{"b.example", "b.example", "executed"},
		{"A.Example:80", "a.example", "replayed"},
		{"b.example", "b.example", "replayed"},
		{"node1", "node1", "executed"},
		{"node2", "node2", "executed"},
		{"192.0.2.1:8080", "192.0.2.1:8080", "executed"},
		{"192.0.2.2", "192.0.2.1:8080", "replayed"},
		{"[2001:db8::1]:8080", "192.0.2.1:8080", "replayed"},
	} {
		r := keyless("1").request(t.Context(), "http://"+tc.host)
		r.Host = tc.host
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		if got := w.Header().Get("Idempotency-Status"); got != tc.status || w.Body.String() != tc.answer {
			t.Errorf("%s: got %s and the answer of %s, want it %s and that of %s", tc.host, got, w.Body, tc.status, tc.answer)
		}
	}
}

// Two strangers who send the same are two.
func TestNoDerivedKeyForStrangers(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(derived(time.Hour)), charge())
	for range 2 {
		if got := s.do(post("", "1")); got.status() != "" || got.header.Get("Idempotency-Key-Source") != "" {
			t.Errorf("got %s, want it unprotected", got)
		}
	}
	s.ran(2)
	p := derived(time.Hour)
	p.Principal = []refrainhttp.Source{"none"}
	all := newSite(t, oneRoute(p), charge())
	all.same(all.do(post("", "1")), all.do(post("", "1")))
	all.ran(1)
}

func TestDerivedKeyNeverOnSafeMethods(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{Routes: []refrainhttp.Route{{Match: []string{"/"}, Policy: derived(time.Hour)}}}, charge())
	for range 2 {
		if got := s.do(ask{method: http.MethodGet, header: map[string]string{"Authorization": "alice"}}); got.status() != "" {
			t.Errorf("got %s, want it untouched", got)
		}
	}
	s.ran(2)
}

// A body that is too long to derive a key from reaches the handler whole: its client asked for no protection.
func TestTooLongForADerivedKeyPasses(t *testing.T) {
	t.Parallel()
	p := derived(time.Hour)
	p.Limits.RequestBody = 10
	s := newSite(t, oneRoute(p), charge())
	const long = "12345678901234567890"
	for _, chunked := range []bool{false, true} {
		r := keyless(long).request(t.Context(), s.URL)
		if chunked {
			r.ContentLength = -1
		}
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusCreated || !strings.Contains(string(body), long) || res.Header.Get("Idempotency-Status") != "" {
			t.Errorf("chunked %t: got %d %s, want it to pass as it is", chunked, res.StatusCode, body)
		}
	}
	if got := s.do(post("k", long).with("Authorization", "alice")); got.code != http.StatusRequestEntityTooLarge {
		t.Errorf("with a key: got %s, want 413", got)
	}
}

// A request that is too long fails in the words of its path, like any without a key.
func TestTooLongForADerivedKeyFailsInWords(t *testing.T) {
	t.Parallel()
	d, _ := refrainhttp.LookupDialect("stripe")
	p := d.Policy
	p.Key.DeriveWindow, p.Limits.RequestBody = time.Hour, 10
	b := newBench(t, p, func(w http.ResponseWriter, r *http.Request) {
		if !refrainhttp.Fail(w, r, refrainhttp.Unreachable) {
			t.Error("there are no words for it")
		}
	})
	for _, body := range []string{"1", "12345678901234567890"} {
		if w := b.do(keyless(body)); !strings.Contains(w.Body.String(), "api_unreachable") {
			t.Errorf("got %d %s, want it in the dialect's words", w.Code, w.Body)
		}
	}
}

func TestDerivedKeysAreObserved(t *testing.T) {
	t.Parallel()
	p := derived(time.Hour)
	p.Mode = refrainhttp.Observe
	s := newSite(t, oneRoute(p), charge())
	s.do(keyless("1"))
	eventually(t, "the outcome is recorded", func() bool { return s.guard.Running() == 0 })
	s.do(keyless("1"))
	s.ran(2)
	if got := fmt.Sprint(s.events.statuses()); got != "[executed replayed]" {
		t.Errorf("got %s, want executed, then what would have been a replay", got)
	}
}

// A bench is a middleware on a store in memory, without a network, for tests under a clock of their own.
type bench struct {
	handler http.Handler
	guard   *refrain.Guard
}

func newBench(t *testing.T, p refrainhttp.Policy, h http.HandlerFunc) *bench {
	t.Helper()
	guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := refrainhttp.New(guard, oneRoute(p))
	if err != nil {
		t.Fatal(err)
	}
	return &bench{handler: m.Wrap(h), guard: guard}
}

func (b *bench) do(a ask) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/charges", strings.NewReader(a.body))
	r.Header.Set("Content-Type", "application/json")
	for k, v := range a.header {
		r.Header.Set(k, v)
	}
	b.handler.ServeHTTP(w, r)
	return w
}

// dice returns random numbers below n, to whoever asks.
func dice(seed, round uint64) func(n int) int {
	random := rand.New(rand.NewPCG(seed, round))
	var mu sync.Mutex
	return func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
}

// An outing is one execution of a handler.
type outing struct {
	n          int
	start, end time.Time
}

// TestDerivedWindow sends equal requests at any time, to a handler that takes any time: one that comes while another runs, or
// less than the window after its answer, gets that answer, and any other one runs. No edge of a bucket splits a double click.
func TestDerivedWindow(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const window = 10 * time.Second
	for round := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			rnd := dice(seed, round)
			var mu sync.Mutex
			var ledger []outing
			p := derived(window)
			p.Operation.Wait, p.Operation.Timeout = time.Minute, time.Minute
			b := newBench(t, p, func(w http.ResponseWriter, _ *http.Request) {
				mu.Lock()
				took, n := time.Duration(rnd(20_000))*time.Millisecond, len(ledger)
				ledger = append(ledger, outing{n: n, start: time.Now()})
				mu.Unlock()
				time.Sleep(took)
				mu.Lock()
				ledger[n].end = time.Now()
				mu.Unlock()
				fmt.Fprint(w, n)
			})
			type click struct {
				at   time.Time
				body string
			}
			var clicks []click
			var wg sync.WaitGroup
			for range 40 {
				time.Sleep(time.Duration(rnd(10_000)*rnd(3)) * time.Millisecond)
				wg.Add(1)
				at := time.Now()
				go func() {
					defer wg.Done()
					w := b.do(keyless("1"))
					mu.Lock()
					defer mu.Unlock()
					clicks = append(clicks, click{at, w.Body.String()})
				}()
			}
			wg.Wait()
			for i := 1; i < len(ledger); i++ {
				if gap := ledger[i].start.Sub(ledger[i-1].end); gap < window {
					t.Errorf("seed %d round %d: ran again %s after an answer, want no sooner than %s", seed, round, gap, window)
				}
			}
			for _, c := range clicks {
				of := ledger[0]
				for _, o := range ledger {
					if !o.start.After(c.at) {
						of = o
					}
				}
				if c.body != fmt.Sprint(of.n) || c.at.Sub(of.end) >= window {
					t.Errorf("seed %d round %d: a request at %v got %s, want %+v", seed, round, c.at, c.body, of)
				}
			}
		})
	}
}

// A client without a key cannot send a new one: what ended unknown holds its equals for the window, and not for good.
func TestDerivedUnknownIsHeldForTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		p := derived(10 * time.Second)
		p.Operation.Timeout, p.Operation.Wait = 20*time.Second, -1
		b := newBench(t, p, func(w http.ResponseWriter, _ *http.Request) {
			runs++
			time.Sleep(19 * time.Second)
			w.WriteHeader(http.StatusInternalServerError)
		})
		for _, step := range []struct {
			after time.Duration
			runs  int
		}{{0, 1}, {9 * time.Second, 1}, {3 * time.Second, 2}} {
			time.Sleep(step.after)
			if w := b.do(keyless("1")); w.Code != http.StatusInternalServerError || runs != step.runs {
				t.Errorf("after %s: got %d and %d runs, want 500 and %d", step.after, w.Code, runs, step.runs)
			}
		}
	})
}

func TestDerivedContradictions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(p *refrainhttp.Policy){
		"required":    func(p *refrainhttp.Policy) { p.Key.Required = true },
		"mode refuse": func(p *refrainhttp.Policy) { p.Mode = refrainhttp.Refuse },
		"bodies":      func(p *refrainhttp.Policy) { p.Fingerprint.Body = refrainhttp.BodyNone },
		"path":        func(p *refrainhttp.Policy) { p.Fingerprint.Of = []string{"method", "query"} },
		"negative":    func(p *refrainhttp.Policy) { p.Key.DeriveWindow = -1 },
	} {
		p := derived(time.Second)
		change(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one about %q", err, want)
		}
	}
}
