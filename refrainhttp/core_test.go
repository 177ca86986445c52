package refrainhttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// Promise 3: every replay has the same status, body and replayable headers.
func TestPromise3ReplaysAreTheFirstAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{}, charge())
	first := s.do(post("k", `{"amount":1}`))
	if first.code != http.StatusCreated || first.replayed() || first.status() != "executed" {
		t.Errorf("first got %v, want 201, executed, not replayed", first)
	}
	if got := first.header.Get("Idempotency-Key"); got != "k" {
		t.Errorf("echo got %q, want k", got)
	}
	expires, err := http.ParseTime(first.header.Get("Idempotency-Expires"))
	if left := time.Until(expires); err != nil || left < 23*time.Hour || left > 25*time.Hour {
		t.Errorf("Idempotency-Expires got %q, want in a day", first.header.Get("Idempotency-Expires"))
	}
	for range 100 {
		again := s.do(post("k", `{"amount":1}`))
		s.same(first, again)
		if got, want := again.header.Get("Idempotency-Expires"), first.header.Get("Idempotency-Expires"); got != want {
			t.Errorf("Idempotency-Expires got %q, want %q", got, want)
		}
		if got := again.header.Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type got %q, want application/json", got)
		}
	}
	s.ran(1)
}

func TestWhatRunsAndWhatDoesNot(t *testing.T) {
	t.Parallel()
	required := oneRoute(refrainhttp.Policy{Key: refrainhttp.Key{Required: true}})
	pair := func(a, b ask) []ask { return []ask{a, b} }
	for _, tt := range []struct {
		name  string
		cfg   refrainhttp.Config
		asks  []ask
		runs  int64
		codes [2]int
		code  string // of the problem in the last answer
	}{
		{name: "no key, optional", asks: pair(post("", "1"), post("", "1")), runs: 2, codes: [2]int{201, 201}},
		{
			name: "no key, required", cfg: required, asks: pair(post("", "1"), post("", "1")), codes: [2]int{400, 400},
			code: "key-missing",
		},
		{name: "different keys", asks: pair(post("a", "1"), post("b", "1")), runs: 2, codes: [2]int{201, 201}},
		{name: "get ignored", asks: pair(ask{method: "GET", key: "k"}, ask{method: "GET", key: "k"}), runs: 2, codes: [2]int{201, 201}},
		{
			name: "options ignored", asks: pair(ask{method: "OPTIONS", key: "k"}, ask{method: "OPTIONS", key: "k"}), runs: 2,
			codes: [2]int{201, 201},
		},
		{
			name: "delete passes", asks: pair(ask{method: "DELETE", key: "k"}, ask{method: "DELETE", key: "k"}), runs: 2,
			codes: [2]int{201, 201},
		},
		{
			name: "patch protected", asks: pair(ask{method: "PATCH", key: "k"}, ask{method: "PATCH", key: "k"}), runs: 1,
			codes: [2]int{201, 201},
		},
		{
			name: "mode off", cfg: oneRoute(refrainhttp.Policy{Mode: refrainhttp.Off}),
			asks: pair(post("k", "1"), post("k", "1")), runs: 2, codes: [2]int{201, 201},
		},
		{name: "empty body", asks: pair(post("k", ""), post("k", "")), runs: 1, codes: [2]int{201, 201}},
		{
			name: "other principal", asks: pair(post("k", "1").with("Authorization", "a"), post("k", "1").with("Authorization", "b")),
			runs: 2, codes: [2]int{201, 201},
		},
		{
			name: "other path", asks: pair(post("k", "1"), ask{path: "/other", key: "k", body: "1"}), runs: 1,
			codes: [2]int{201, 422}, code: "key-mismatch",
		},
		{
			name: "other path, route by path", cfg: oneRoute(refrainhttp.Policy{RouteScope: refrainhttp.RoutePath}),
			asks: pair(post("k", "1"), ask{path: "/other", key: "k", body: "1"}), runs: 2, codes: [2]int{201, 201},
		},
		{
			name: "other method, no route", cfg: oneRoute(refrainhttp.Policy{RouteScope: refrainhttp.RouteNone}),
			asks: pair(post("k", "1"), ask{method: "PATCH", key: "k", body: "1"}), runs: 1,
			codes: [2]int{201, 422}, code: "key-mismatch",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, tt.cfg, charge())
			for i, a := range tt.asks {
				got := s.do(a)
				if got.code != tt.codes[i] {
					t.Errorf("request %d got %v, want %d", i+1, got, tt.codes[i])
				}
				if i == 1 && got.problem().Code != tt.code {
					t.Errorf("problem got %q, want %q", got.problem().Code, tt.code)
				}
			}
			s.ran(tt.runs)
		})
	}
}

// Promise 4: a mismatch never runs, never replays, and leaves the record as it was.
func TestPromise4Mismatch(t *testing.T) {
	t.Parallel()
	const body = `{"amount":1,"note":null,"tags":["a","b"]}`
	for _, tt := range []struct {
		name string
		ask  ask
		same bool
	}{
		{"amount", post("k", `{"amount":2,"note":null,"tags":["a","b"]}`), false},
		{"order and white space", post("k", " { \"tags\" : [\"a\",\"b\"] ,\n\"note\":null,\t\"amount\": 1 } "), true},
		{"number", post("k", `{"amount":1.0,"note":null,"tags":["a","b"]}`), true},
		{"exponent", post("k", `{"amount":10e-1,"note":null,"tags":["a","b"]}`), true},
		{"escapes", post("k", `{"\u0061mount":1,"note":null,"tags":["\u0061","b"]}`), true},
		{"null is not absent", post("k", `{"amount":1,"tags":["a","b"]}`), false},
		{"array order", post("k", `{"amount":1,"note":null,"tags":["b","a"]}`), false},
		{"query", ask{path: "/charges?x=1", key: "k", body: body}, false},
		{"path", ask{path: "/charges/", key: "k", body: body}, false},
		{"method", ask{method: "PATCH", key: "k", body: body}, true}, // another pattern: another operation
		{"media type", post("k", body).with("Content-Type", "text/plain"), false},
		{"media type parameter", post("k", body).with("Content-Type", "Application/JSON; charset=utf-8"), true},
		{"a header that does not count", post("k", body).with("X-Request-Id", "7"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, refrainhttp.Config{}, charge())
			first := s.do(post("k", body))
			got := s.do(tt.ask)
			switch {
			case tt.ask.method == "PATCH":
				s.ran(2)
				return
			case tt.same:
				s.same(first, got)
			case got.code != 422 || got.problem().Code != "key-mismatch" || got.status() != "mismatch" || got.replayed():
				t.Errorf("got %v, want 422 key-mismatch", got)
			}
			s.same(first, s.do(post("k", body))) // the record is not damaged
			s.ran(1)
		})
	}
}

// Large integers differ although they are equal as floating-point numbers.
func TestAmountsAreExact(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{}, charge())
	s.do(post("k", `{"amount":9007199254740993}`))
	if got := s.do(post("k", `{"amount":9007199254740992}`)); got.code != 422 {
		t.Errorf("got %v, want 422", got)
	}
	s.ran(1)
}

// held is a handler that waits to be let go, and a channel that says it began.
func held() (h http.HandlerFunc, began chan struct{}, release func()) {
	began, gate := make(chan struct{}, 16), make(chan struct{})
	answer := charge()
	var once sync.Once
	return func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-gate
		answer(w, r)
	}, began, func() { once.Do(func() { close(gate) }) }
}

func TestInFlight(t *testing.T) {
	t.Parallel()
	h, began, release := held()
	s := newSite(t, oneRoute(atOnce()), h)
	defer release()
	done := make(chan reply, 1)
	go func() { done <- s.try(t.Context(), post("k", "1")) }()
	<-began

	got := s.do(post("k", "1"))
	p := got.problem()
	if got.code != 409 || p.Code != "in-progress" || !p.Retryable || got.status() != "in-progress" {
		t.Errorf("duplicate got %v, want 409 in-progress", got)
	}
	if n, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || n < 1 || n > 30 {
		t.Errorf("Retry-After got %q, want 1 to 30", got.header.Get("Retry-After"))
	}
	if got := got.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control got %q, want no-store", got)
	}
	if got := s.do(post("k", "2")); got.code != 422 { // mismatch comes before in-flight
		t.Errorf("mismatch in flight got %v, want 422", got)
	}
	release()
	first := <-done
	s.same(first, s.do(post("k", "1"))) // the 409 was not stored
	s.ran(1)
}

func TestRetryAfterIsTheLease(t *testing.T) {
	t.Parallel()
	for lease, want := range map[time.Duration]string{200 * time.Millisecond: "1", 2500 * time.Millisecond: "3", time.Hour: "5"} {
		p := atOnce()
		p.Operation.Lease = lease
		h, began, release := held()
		s := newSite(t, oneRoute(p), h)
		go s.try(t.Context(), post("k", "1"))
		<-began
		if got := s.do(post("k", "1")).header.Get("Retry-After"); got != want {
			t.Errorf("lease %s: Retry-After got %q, want %q", lease, got, want)
		}
		release()
	}
}

func TestWaitMode(t *testing.T) {
	t.Parallel()
	h, began, release := held()
	s := newSite(t, refrainhttp.Config{}, h) // the default waits 5 seconds
	first, second := make(chan reply, 1), make(chan reply, 1)
	go func() { first <- s.try(t.Context(), post("k", "1")) }()
	<-began
	go func() { second <- s.try(t.Context(), post("k", "1")) }()
	go func() { // the second waits, or it would be answered 409 whenever it came
		<-time.After(50 * time.Millisecond)
		release()
	}()
	s.same(<-first, <-second)
	s.ran(1)
}

func TestWaiterDisconnect(t *testing.T) {
	t.Parallel()
	h, began, release := held()
	p := refrainhttp.Policy{Operation: refrain.Policy{Wait: time.Hour}}
	s := newSite(t, oneRoute(p), h)
	defer release()
	first := make(chan reply, 1)
	go func() { first <- s.try(t.Context(), post("k", "1")) }()
	<-began
	eventually(t, "a waiter is gone", func() bool { // one that hung up before it came did not wait
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if got := s.try(ctx, post("k", "1")); got.err == nil {
			t.Errorf("waiter got %v, want it to hang up", got)
		}
		return len(s.events.statuses()) > 0
	})
	release()
	s.same(<-first, s.do(post("k", "1")))
	s.ran(1)
}

func TestStorm(t *testing.T) {
	t.Parallel()
	const clients, rounds = 100, 100 // 10,000 requests
	s := newSite(t, refrainhttp.Config{Policy: refrainhttp.Policy{Operation: refrain.Policy{Wait: time.Minute}}}, charge())
	s.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = clients
	var wrong atomic.Int64
	var bodies sync.Map
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range rounds {
				r := s.try(t.Context(), post("storm", `{"amount":5}`))
				if r.err != nil || r.code != http.StatusCreated {
					wrong.Add(1)
				}
				bodies.Store(r.body, true)
			}
		})
	}
	wg.Wait()
	n := 0
	bodies.Range(func(any, any) bool { n++; return true })
	if wrong.Load() != 0 || n != 1 {
		t.Errorf("got %d wrong answers and %d different bodies, want 0 and 1", wrong.Load(), n)
	}
	s.ran(1)
}

func TestStormOfOneHundredOnEachOfManyKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(atOnce()), charge())
	s.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 50
	for k := range 20 {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if r := s.try(t.Context(), post(fmt.Sprint("k", k), "1")); r.code != 201 && r.code != 409 {
					t.Errorf("got %v, want 201 or 409", r)
				}
			})
		}
		wg.Wait()
	}
	s.ran(20)
}

// Promise 7: no scope ever sees another's outcome.
func TestPromise7PrincipalsNeverMeet(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q %q", r.Header["Authorization"], r.Header["X-Api-Key"])
	})
	// Parts that an unescaped join would confuse.
	parts := []string{"a", "b", "aa", ":", "|", "/", ";", ",", "header:", "Authorization", "X-Api-Key", "1", "%00"}
	word := func(atLeast int) string {
		var b strings.Builder
		for range atLeast + rng.IntN(4) {
			b.WriteString(parts[rng.IntN(len(parts))])
		}
		return b.String()
	}
	for range 2000 {
		a := post(strings.ReplaceAll(word(1), ",", "."), "1")
		var want string
		if p := word(1); rng.IntN(2) == 0 {
			a, want = a.with("Authorization", p), fmt.Sprintf("%q []", []string{p})
		} else {
			a, want = a.with("X-Api-Key", p), fmt.Sprintf("[] %q", []string{p})
		}
		if got := s.do(a); got.code != 200 || got.body != want {
			t.Fatalf("%v got %v, want %q", a, got, want)
		}
	}
}

func TestPromise7TwoCredentialLines(t *testing.T) {
	t.Parallel()
	h := charge()
	s := newSite(t, refrainhttp.Config{}, h)
	send := func(lines ...string) reply {
		r := post("k", "1").request(t.Context(), s.URL)
		r.Header["Authorization"] = lines
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return reply{code: res.StatusCode, header: res.Header, body: string(b)}
	}
	send("a", "b")
	send("ab")
	send("a")
	send("a, b")
	s.ran(4)
	if got := send("a", "b"); !got.replayed() {
		t.Errorf("got %v, want a replay", got)
	}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code   int
		retry  bool   // the answer has Retry-After
		first  string // Idempotency-Status
		again  string // of a retry: "" means that it runs
		second int
	}{
		{200, false, "executed", "replayed", 200},
		{302, false, "executed", "replayed", 302},
		{400, false, "executed", "replayed", 400},
		{402, false, "executed", "replayed", 402},
		{404, false, "executed", "replayed", 404},
		{401, false, "executed", "", 401},
		{403, false, "executed", "", 403},
		{408, false, "executed", "", 408},
		{425, false, "executed", "", 425},
		{429, false, "executed", "", 429},
		{429, true, "executed", "", 429},
		{500, false, "unknown", "unknown", 500},
		{502, false, "unknown", "unknown", 502},
		{503, false, "unknown", "unknown", 503},
		{503, true, "executed", "", 503},
		{504, true, "unknown", "unknown", 504},
		{599, false, "unknown", "unknown", 599},
	} {
		t.Run(fmt.Sprint(tt.code, tt.retry), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, _ *http.Request) {
				if tt.retry {
					w.Header().Set("Retry-After", "1")
				}
				w.WriteHeader(tt.code)
				fmt.Fprint(w, "answer")
			})
			s.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			first := s.do(post("k", "1"))
			if first.code != tt.code || first.status() != tt.first || first.body != "answer" {
				t.Errorf("first got %v, want %d %s", first, tt.code, tt.first)
			}
			again := s.do(post("k", "1"))
			if tt.again == "" {
				s.ran(2)
				if again.replayed() {
					t.Errorf("retry got %v, want it to run", again)
				}
				return
			}
			s.ran(1)
			if again.code != tt.second || again.status() != tt.again || !again.replayed() || again.body != "answer" {
				t.Errorf("retry got %v, want %d %s", again, tt.second, tt.again)
			}
			if again.header.Get("Retry-After") != "" {
				t.Errorf("replay got Retry-After %q, want none", again.header.Get("Retry-After"))
			}
		})
	}
}

func TestSetOutcome(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code       int
		class      refrainhttp.Class
		incomplete bool
		again      int // status of the retry
		status     string
		runs       int64
	}{
		{code: 500, class: refrainhttp.Final, again: 500, status: "replayed", runs: 1},
		{code: 502, class: refrainhttp.Release, again: 502, status: "executed", runs: 2},
		{code: 502, class: refrainhttp.Unknown, again: 502, status: "unknown", runs: 1},
		{code: 200, class: refrainhttp.Release, again: 200, status: "executed", runs: 2},
		// Nobody may take an answer that does not tell for a success.
		{code: 200, class: refrainhttp.Unknown, again: 409, status: "unknown", runs: 1},
		{code: 200, incomplete: true, again: 409, status: "unknown", runs: 1},
		{code: 500, incomplete: true, again: 409, status: "unknown", runs: 1},
		{code: 200, class: refrainhttp.Final, incomplete: true, again: 409, status: "unknown", runs: 1},
	} {
		t.Run(fmt.Sprint(tt.code, tt.class, tt.incomplete), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, r *http.Request) {
				if refrain.FromContext(r.Context()) == nil {
					t.Error("the handler's context got no attempt")
				}
				if tt.class != 0 {
					refrainhttp.SetOutcome(r.Context(), tt.class)
				}
				if tt.incomplete {
					refrainhttp.MarkIncomplete(r.Context())
				}
				w.WriteHeader(tt.code)
				fmt.Fprint(w, "answer")
			})
			if first := s.do(post("k", "1")); first.code != tt.code || first.body != "answer" {
				t.Errorf("first got %v, want %d", first, tt.code)
			}
			got := s.do(post("k", "1"))
			if got.code != tt.again || got.status() != tt.status {
				t.Errorf("retry got %v, want %d %s", got, tt.again, tt.status)
			}
			s.ran(tt.runs)
		})
	}
}

// Promise 6: an unknown outcome is never run again under hold.
func TestPromise6UnknownIsNotRunAgain(t *testing.T) {
	t.Parallel()
	for name, die := range map[string]func(w http.ResponseWriter){
		"panic":   func(http.ResponseWriter) { panic("boom") },
		"abort":   func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"goexit":  func(http.ResponseWriter) { goexit() },
		"written": func(w http.ResponseWriter) { fmt.Fprint(w, "half an ans"); panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, _ *http.Request) { die(w) })
			if name != "goexit" { // there net/http leaves the connection open
				if got := s.try(t.Context(), post("k", "1")); got.err == nil {
					t.Errorf("first got %v, want a broken connection", got)
				}
			} else {
				ctx, cancel := context.WithCancel(t.Context())
				go s.try(ctx, post("k", "1"))
				eventually(t, "the handler ended", func() bool { return len(s.events.statuses()) == 1 })
				cancel()
			}
			for range 3 {
				got := s.do(post("k", "1"))
				if p := got.problem(); got.code != 409 || p.Code != "outcome-unknown" || got.status() != "unknown" {
					t.Errorf("retry got %v, want 409 outcome-unknown", got)
				}
			}
			s.ran(1)
		})
	}
}

// Under rerun the next attempt runs, with a greater fence.
func TestRerun(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var fences []int
	p := refrainhttp.Policy{Operation: refrain.Policy{Unknown: refrain.Rerun}}
	s := newSite(t, oneRoute(p), func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		f, err := strconv.Atoi(r.Header.Get("Idempotency-Fence"))
		if err != nil {
			t.Error(err)
		}
		if fences = append(fences, f); len(fences) == 1 {
			w.WriteHeader(500)
		}
	})
	s.do(post("k", "1"))
	if got := s.do(post("k", "1")); got.code != 200 || got.replayed() {
		t.Errorf("retry got %v, want 200 of a run", got)
	}
	if len(fences) != 2 || fences[1] <= fences[0] {
		t.Errorf("fences got %v, want two that grow", fences)
	}
}

func TestExpired(t *testing.T) {
	t.Parallel()
	p := refrainhttp.Policy{Operation: refrain.Policy{Retention: time.Millisecond}}
	s := newSite(t, oneRoute(p), charge())
	s.do(post("k", "1"))
	eventually(t, "the outcome expired", func() bool { return s.do(post("k", "1")).code == 410 })
	got := s.do(post("k", "1"))
	if got.problem().Code != "expired" || got.status() != "expired" {
		t.Errorf("got %v, want expired", got)
	}
	if got := s.do(post("k", "2")); got.code != 422 {
		t.Errorf("mismatch got %v, want 422", got)
	}
	s.ran(1)
}

func TestRequestBodyLimit(t *testing.T) {
	t.Parallel()
	p := refrainhttp.Policy{Limits: refrainhttp.Limits{RequestBody: 100}}
	for _, chunked := range []bool{false, true} {
		for _, tt := range []struct {
			size int
			key  string
			code int
		}{{99, "a", 201}, {100, "b", 201}, {101, "c", 413}, {5000, "d", 413}, {5000, "", 201}} {
			s := newSite(t, oneRoute(p), charge())
			r := post(tt.key, strings.Repeat("x", tt.size)).request(t.Context(), s.URL)
			if chunked {
				r.ContentLength = -1
			}
			res, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != tt.code {
				t.Errorf("%d bytes, chunked %t: got %d, want %d", tt.size, chunked, res.StatusCode, tt.code)
			}
			if tt.code == 413 {
				s.ran(0)
				if p := parseProblem(string(b)); p.Code != "body-too-large" {
					t.Errorf("problem got %q, want body-too-large", p.Code)
				}
				if got := s.do(post(tt.key, "x")); got.code != 201 || got.replayed() { // nothing was claimed
					t.Errorf("a short body with the key got %v, want 201", got)
				}
			}
		}
	}
}

func TestBodyOfTheHandler(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "x", strings.Repeat("0123456789", 30000)} {
		for _, length := range []int64{int64(len(body)), -1} {
			s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Body == nil || r.Body == http.NoBody:
					t.Error("got no body reader")
				case r.GetBody != nil:
					t.Error("got a GetBody")
				case r.ContentLength != int64(len(body)) || len(r.TransferEncoding) != 0:
					t.Errorf("got length %d, coding %q, want %d and none", r.ContentLength, r.TransferEncoding, len(body))
				}
				got, err := io.ReadAll(r.Body)
				if err != nil || string(got) != body {
					t.Errorf("got %d bytes, %v, want %d", len(got), err, len(body))
				}
				if n, err := r.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("after the end got %d, %v, want EOF", n, err)
				}
			})
			r := post("k", body).request(t.Context(), s.URL)
			r.ContentLength = length
			if length < 0 {
				r.Body = io.NopCloser(strings.NewReader(body))
			}
			res, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			s.ran(1)
		}
	}
}

// A goroutine that a handler leaves behind finds no other request's body.
func TestBodyEndsWithItsHandler(t *testing.T) {
	t.Parallel()
	body := make(chan io.Reader, 1)
	s := newSite(t, refrainhttp.Config{}, func(_ http.ResponseWriter, r *http.Request) { body <- r.Body })
	s.do(post("k", "secret"))
	if n, err := (<-body).Read(make([]byte, 10)); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("got %d, %v, want ErrBodyReadAfterClose", n, err)
	}
}

func TestEmptyAndBinary(t *testing.T) {
	t.Parallel()
	random := make([]byte, 1<<20)
	rng := rand.NewChaCha8([32]byte{7})
	_, _ = rng.Read(random)
	for name, h := range map[string]http.HandlerFunc{
		"204":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"201":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) },
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"304":     func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("ETag", `"x"`); w.WriteHeader(304) },
		"binary":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(random) },
		"readfrom": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, struct{ io.Reader }{bytes.NewReader(random)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, refrainhttp.Config{}, h)
			first := s.do(post("k", "1"))
			again := s.do(post("k", "1"))
			s.same(first, again)
			s.ran(1)
			if strings.HasPrefix(name, "b") || strings.HasPrefix(name, "r") {
				if first.body != string(random) {
					t.Errorf("got %d other bytes", len(first.body))
				}
			}
			for _, h := range []string{"Content-Length", "Content-Type", "Etag"} {
				if got, want := again.header.Get(h), first.header.Get(h); got != want {
					t.Errorf("%s got %q, want %q", h, got, want)
				}
			}
		})
	}
}
