package refrainhttp_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// Promise 5: the outcome is durable before the first byte to the client.
func TestPromise5SavedBeforeAnswered(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 10, 100_000} {
		s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.Repeat("x", size))
			w.(http.Flusher).Flush()
		})
		saving, save := make(chan struct{}), make(chan struct{})
		hook := func() { close(saving); <-save }
		s.store.beforeSettle.Store(&hook)
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /charges HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n")
		<-saving
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%d bytes: got %d bytes, %v before the outcome is durable, want none", size, n, err)
		}
		close(save)
		_ = c.SetReadDeadline(time.Time{})
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != 200 {
			t.Errorf("got %v, %v, want 200", res, err)
		}
	}
}

// Promise 9: a client that hangs up does not stop the operation, and its retry gets the outcome.
func TestPromise9HangUpAtAnyByte(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	const hangUps = 1000
	var mu sync.Mutex
	began, ended := map[string]int{}, map[string]int{}
	s := newSite(t, oneRoute(refrainhttp.Policy{Operation: refrain.Policy{Wait: time.Minute}}),
		func(w http.ResponseWriter, r *http.Request) {
			key := r.Header.Get("Idempotency-Key")
			mu.Lock()
			began[key]++
			mu.Unlock()
			body, err := io.ReadAll(r.Body)
			select { // long enough to be hung up on
			case <-r.Context().Done():
				t.Errorf("%s: the context ended: %v", key, r.Context().Err())
			case <-time.After(time.Duration(len(body)%3) * time.Millisecond):
			}
			if err != nil || len(body) != 200 {
				t.Errorf("%s: the handler got %d bytes, %v, want 200", key, len(body), err)
			}
			fmt.Fprintf(w, "done %s", key)
			mu.Lock()
			ended[key]++
			mu.Unlock()
		})
	var wg sync.WaitGroup
	slots := make(chan struct{}, 32)
	for i := range hangUps {
		key := fmt.Sprintf("key-%d", i)
		request := fmt.Sprintf("POST /charges HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nIdempotency-Key: %s\r\n"+
			"Content-Length: 200\r\n\r\n%s", key, strings.Repeat("b", 200))
		cut := rng.IntN(len(request) + 100) // beyond the end: during execution
		reset := rng.IntN(2) == 0
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			hangUp(t, s.Listener.Addr().String(), request[:min(cut, len(request))], reset)
		})
	}
	wg.Wait()
	eventually(t, "what began ended", func() bool { return s.guard.Running() == 0 })

	started := 0
	for i := range hangUps {
		key := fmt.Sprintf("key-%d", i)
		mu.Lock()
		had := began[key]
		mu.Unlock()
		got := s.do(post(key, strings.Repeat("b", 200)).with("Content-Type", "text/plain"))
		if got.code != 200 || got.body != "done "+key {
			t.Errorf("%s: retry got %v, want its outcome", key, got)
		}
		if had > 0 {
			started++
			if !got.replayed() {
				t.Errorf("%s: began before the hang-up, and its retry got %v, want a replay", key, got)
			}
		}
		if began[key] != 1 || ended[key] != 1 {
			t.Errorf("%s: began %d times and ended %d times, want 1 and 1", key, began[key], ended[key])
		}
	}
	t.Logf("%d of %d operations had begun", started, hangUps)
	if started < hangUps/20 || started > hangUps*19/20 {
		t.Errorf("%d of %d operations had begun, want some of each kind", started, hangUps)
	}
}

// hangUp sends bytes and hangs up.
func hangUp(t *testing.T, addr, bytes string, reset bool) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	if reset {
		_ = c.(*net.TCPConn).SetLinger(0)
	}
	_, _ = io.WriteString(c, bytes)
	_ = c.Close()
}

// Promise 9, in the middle of the execution, for certain.
func TestPromise9HangUpDuringExecution(t *testing.T) {
	t.Parallel()
	h, began, release := held()
	var ctxErr atomic.Value
	s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, r *http.Request) {
		h(w, r)
		if err := r.Context().Err(); err != nil {
			ctxErr.Store(err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() { s.try(ctx, post("k", "1")); close(gone) }()
	<-began
	cancel()
	<-gone
	<-time.After(50 * time.Millisecond) // the server has noticed: it watches the connection
	release()
	got := s.do(post("k", "1"))
	if got.code != 201 || !got.replayed() {
		t.Errorf("retry got %v, want a replay of 201", got)
	}
	if err := ctxErr.Load(); err != nil {
		t.Errorf("the handler's context got %v, want none", err)
	}
	s.ran(1)
}

// A connection that is reset after the outcome is durable: the retry gets the same bytes.
func TestResetAfterTheOutcomeIsDurable(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{}, charge())
	var c net.Conn
	hook := func() {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	s.store.beforeSettle.Store(&hook)
	var err error
	if c, err = net.Dial("tcp", s.Listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /charges HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n"+
		"Content-Length: 1\r\n\r\n1")
	eventually(t, "it ended", func() bool { return len(s.events.statuses()) == 1 })
	none := func() {}
	s.store.beforeSettle.Store(&none)
	if got := s.do(post("k", "1")); !got.replayed() || got.body != `{"charge":1,"for":"1"}` {
		t.Errorf("retry got %v, want the replay", got)
	}
}

// The handler's deadline is the policy's, however long the client stays.
func TestTimeout(t *testing.T) {
	t.Parallel()
	p := refrainhttp.Policy{Operation: refrain.Policy{Timeout: 50 * time.Millisecond}}
	s := newSite(t, oneRoute(p), func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		if !errors.Is(r.Context().Err(), context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", r.Context().Err())
		}
		w.WriteHeader(504)
	})
	if got := s.do(post("k", "1")); got.code != 504 || got.status() != "unknown" {
		t.Errorf("got %v, want 504 unknown", got)
	}
}

// A slow or broken body claims nothing.
func TestBrokenBodyClaimsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{}, charge())
	hangUp(t, s.Listener.Addr().String(), "POST /charges HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
		"Idempotency-Key: k\r\nContent-Length: 10\r\n\r\nhalf", false)
	eventually(t, "the server noticed", func() bool { return len(s.events.statuses()) == 1 })
	if got := s.events.all[0]; got.Status != refrainhttp.StatusRefused || got.Problem != "body-broken" {
		t.Errorf("got %+v, want body-broken", got)
	}
	if got := s.do(post("k", "whole body")); got.code != 201 || got.replayed() {
		t.Errorf("got %v, want a run", got)
	}
	s.ran(1)
}

// What is wrong with a key is said before the body is asked for.
func TestKeyIsCheckedBeforeTheBody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		key, want string
	}{{"Idempotency-Key: \"\r\n", "400"}, {"", "400"}, {"Idempotency-Key: k\r\n", "100"}} {
		s := newSite(t, oneRoute(refrainhttp.Policy{Key: refrainhttp.Key{Required: true}}), charge())
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /charges HTTP/1.1\r\nHost: x\r\n%sExpect: 100-continue\r\nContent-Length: 10\r\n\r\n", tt.key)
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+tt.want) {
			t.Errorf("%q got %q, %v, want %s", tt.key, line, err, tt.want)
		}
	}
}

// Promise 12: without the store nothing runs, unless the policy says so, and then it shows.
func TestPromise12StoreDown(t *testing.T) {
	t.Parallel()
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, refrainhttp.Config{}, charge())
		s.store.claims.Store(true)
		got := s.do(post("k", "1"))
		if p := got.problem(); got.code != 503 || p.Code != "unavailable" || !p.Retryable || got.header.Get("Retry-After") == "" {
			t.Errorf("got %v, want 503 unavailable with Retry-After", got)
		}
		s.ran(0)
		s.do(post("", "1"))
		s.do(ask{method: "GET", key: "k"})
		s.ran(2) // unkeyed and safe requests are served
	})
	t.Run("open", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, oneRoute(refrainhttp.Policy{Operation: refrain.Policy{StoreDown: refrain.FailOpen}}), charge())
		s.store.claims.Store(true)
		got := s.do(post("k", "hello"))
		if got.code != 201 || got.status() != "bypassed" || !strings.Contains(got.body, "hello") {
			t.Errorf("got %v, want 201 bypassed with the body", got)
		}
		s.ran(1)
	})
	t.Run("open, while the guard closes", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, oneRoute(refrainhttp.Policy{Operation: refrain.Policy{StoreDown: refrain.FailOpen}}), charge())
		if err := s.guard.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.do(post("k", "hello")); got.code != 503 {
			t.Errorf("got %v, want 503", got)
		}
		s.ran(0)
	})
}

// A write that fails after a success is told, and never releases the key.
func TestPromise5UnrecordedOutcome(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{}, charge())
	s.store.settles.Store(true)
	first := s.do(post("k", "1"))
	if first.code != 201 || first.status() != "unrecorded" || first.header.Get("Idempotency-Expires") != "" {
		t.Errorf("first got %v, want 201 unrecorded", first)
	}
	if got := s.do(post("k", "1")); got.code != 409 || got.status() != "unknown" {
		t.Errorf("retry got %v, want 409 unknown", got)
	}
	s.ran(1)
	s.store.settles.Store(false)
	eventually(t, "the outcome is recorded", func() bool { return s.do(post("k", "1")).code == 201 })
	s.same(first, s.do(post("k", "1")))
	s.ran(1)
}

func TestMalformedRequestsLeaveTheServerUp(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := newSite(t, refrainhttp.Config{Policy: refrainhttp.Policy{Key: refrainhttp.Key{Required: true}}}, charge())
	const good = "POST /charges?a=b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: \"k\"\r\n" +
		"Connection: close\r\nContent-Length: 7\r\n\r\n{\"a\":1}"
	fixed := []string{
		"", "\r\n", "\x00", "GET\r\n\r\n", "POST / HTTP/9.9\r\n\r\n", "POST /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST * HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"POST //a/../b HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"POST http://y/z HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		strings.Replace(good, "\"k\"", "k\r\n folded", 1), strings.Replace(good, "\"k\"", "\x80\xff", 1),
		strings.Replace(good, "Content-Length: 7", "Content-Length: 7\r\nContent-Length: 8", 1),
		strings.Replace(good, "Content-Length: 7", "Transfer-Encoding: chunked\r\nContent-Length: 7", 1),
		strings.Replace(good, "Idempotency-Key:", "Idempotency-Key :", 1),
		strings.Replace(good, "\"k\"", strings.Repeat("k", 100_000), 1),
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := range 500 {
		raw := []byte(good)
		if i < len(fixed) {
			raw = []byte(fixed[i])
		} else {
			for range 1 + rng.IntN(8) {
				at := rng.IntN(len(raw))
				switch rng.IntN(3) {
				case 0:
					raw[at] = byte(rng.IntN(256))
				case 1:
					raw = append(raw[:at:at], raw[min(len(raw), at+rng.IntN(20)):]...)
				default:
					raw = append(raw[:at:at], append([]byte(good)[rng.IntN(len(good)):], raw[at:]...)...)
				}
				if len(raw) == 0 {
					raw = []byte("x")
				}
			}
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			sendRaw(t, s.Listener.Addr().String(), raw)
		})
	}
	wg.Wait()
	if got := s.do(post("healthy", "1")); got.code != 201 {
		t.Errorf("afterwards got %v, want 201", got)
	}
}

// sendRaw sends bytes, ends, and reads whatever comes.
func sendRaw(t *testing.T, addr string, raw []byte) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Errorf("the server is down: %v", err)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.Copy(c, bytes.NewReader(raw))
	_ = c.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(c)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		t.Errorf("%q got no end of an answer: %q", raw, answer)
	}
	if bytes.Contains(answer, []byte(" 500 ")) {
		t.Errorf("%q got %q", raw, answer)
	}
}

// Exactly one key: whoever sends two may mean either.
func TestTwoKeysAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{}, charge())
	for _, keys := range [][]string{{"a", "b"}, {"a", "a"}, {`"a", "b"`}, {"a,b"}, {""}} {
		r := post("", "1").request(t.Context(), s.URL)
		r.Header["Idempotency-Key"] = keys
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if p := parseProblem(string(b)); res.StatusCode != 400 || p.Code != "key-invalid" || p.Detail == "" {
			t.Errorf("%q got %d %s, want 400 key-invalid", keys, res.StatusCode, b)
		}
	}
	s.ran(0)
}

// A request that has no claim fails in the words of its path, if there are any: clients of a dialect know no others.
func TestFailsInTheWordsOfThePath(t *testing.T) {
	t.Parallel()
	stripe, _ := refrainhttp.LookupDialect("stripe")
	s := newSite(t, refrainhttp.Config{Routes: []refrainhttp.Route{
		{Match: []string{"POST /v1/"}, Policy: stripe.Policy}, {Match: []string{"POST /plain"}},
	}}, func(w http.ResponseWriter, r *http.Request) {
		if !refrainhttp.Fail(w, r, refrainhttp.TimedOut) {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	for _, tc := range []struct {
		method, path string
		want         int
	}{
		{"POST", "/v1/charges", 500}, {"GET", "/v1/charges", 502}, {"GET", "/plain", 418}, {"POST", "/plain", 418}, {"GET", "/else", 418},
	} {
		a := keyless("{}")
		a.method, a.path = tc.method, tc.path
		if got := s.do(a); got.code != tc.want || got.code >= 500 && !strings.Contains(got.body, `"type":"idempotency_error"`) {
			t.Errorf("%s %s: got %s, want %d", tc.method, tc.path, got, tc.want)
		}
	}
}
