package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// start serves the proxy with the middleware around it, in front of the upstream.
func start(t *testing.T, upstream string) string {
	t.Helper()
	return startLogged(t, upstream, nil)
}

func startLogged(t *testing.T, upstream string, log *slog.Logger) string {
	t.Helper()
	return startOn(t, upstream, log, memstore.New(memstore.Config{}), refrainhttp.Policy{})
}

func startOn(t *testing.T, upstream string, log *slog.Logger, store refrain.Store, policy refrainhttp.Policy) string {
	t.Helper()
	base, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	return startConfigured(t, Config{Upstream: base, Logger: log}, store, policy)
}

func startConfigured(t *testing.T, cfg Config, store refrain.Store, policy refrainhttp.Policy) string {
	t.Helper()
	guard, err := refrain.New(store, refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	mw, err := refrainhttp.New(guard, refrainhttp.Config{Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	p := New(cfg)
	srv := httptest.NewServer(mw.Wrap(p))
	t.Cleanup(func() {
		srv.Close()
		p.Close()
		if err := guard.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return srv.URL
}

// An answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

func post(t *testing.T, target, key, body string) answer {
	t.Helper()
	req, err := http.NewRequest("POST", target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header["idempotency-key"] = []string{key} // in lower case, so that the test's own client does not send it twice
	}
	req.GetBody = nil
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b), err}
}

// A script is an upstream of raw sockets: it reads a whole request and then does as told with the connection. It counts the
// requests that arrived whole, which is what it executed.
type script struct {
	net.Listener
	executed atomic.Int64
	act      func(n int64, c net.Conn, r *http.Request) (keep bool)
}

func newScript(t *testing.T, act func(n int64, c net.Conn, r *http.Request) (keep bool)) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{Listener: l, act: act}
	var conns sync.WaitGroup
	t.Cleanup(func() { l.Close(); conns.Wait() })
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { s.serve(c) })
		}
	})
	return s
}

func (s *script) serve(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		if !s.act(s.executed.Add(1), c, req) {
			return
		}
	}
}

func (s *script) url() string { return "http://" + s.Addr().String() }

const created = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"id\":\"1\"}\n"

// The upstream answers the first request and drops the connection at the second, after it has executed it: net/http's
// transport would send that one again.
func TestPromise10_OneRequestStaysOne(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", `{"amount":1}`, strings.Repeat("x", 100_000)} {
		for _, key := range []string{"k", ""} {
			up := newScript(t, func(n int64, c net.Conn, r *http.Request) bool {
				if n == 2 {
					return false
				}
				_, _ = io.WriteString(c, created)
				return true
			})
			target := start(t, up.url())
			k1, k2 := key, key
			if key != "" {
				k1, k2 = key+"1", key+"2"
			}
			if a := post(t, target+"/cancel", k1, body); a.status != 201 {
				t.Fatalf("first: got %+v, want 201", a)
			}
			a := post(t, target+"/cancel", k2, body)
			if a.status != 502 {
				t.Errorf("second: got %+v, want 502", a)
			}
			if got := up.executed.Load(); got != 2 {
				t.Errorf("body of %d bytes, key %q: the upstream executed %d times for 2 requests", len(body), key, got)
			}
			if key == "" {
				continue
			}
			if a := post(t, target+"/cancel", k2, body); a.header.Get("Idempotency-Status") != "unknown" {
				t.Errorf("retry: got %d %v, want unknown", a.status, a.header)
			}
			if got := up.executed.Load(); got != 2 {
				t.Errorf("the retry of an unknown outcome was executed")
			}
		}
	}
}

// A connection that died while it was idle is not the request's fault: nothing was sent, another connection takes it.
func TestDeadIdleConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 100)
	up := newScript(t, func(n int64, c net.Conn, r *http.Request) bool {
		_, _ = io.WriteString(c, created)
		c.Close() // without having said so
		closed <- struct{}{}
		return false
	})
	target := start(t, up.url())
	for i := range 20 {
		if a := post(t, target+"/", fmt.Sprint(i), "{}"); a.status != 201 {
			t.Fatalf("request %d: got %+v, want 201", i, a)
		}
		<-closed
	}
	if got := up.executed.Load(); got != 20 {
		t.Errorf("executed %d, want 20", got)
	}
}

func TestUnreachableUpstreamReleasesTheKey(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	target := start(t, "http://"+address)
	a := post(t, target+"/", "k", "{}")
	if a.status != 502 || !strings.Contains(a.body, "upstream-unreachable") || a.header.Get("Idempotency-Advice") != "same-key" {
		t.Fatalf("got %+v, want 502 upstream-unreachable, and to send it again", a)
	}
	if lines := a.header["Idempotency-Status"]; len(lines) > 0 {
		t.Errorf("got the status %q of what never left, want none", lines)
	}
	l, err = net.Listen("tcp", address)
	if err != nil {
		t.Skip("the port was taken meanwhile:", err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(201)
	}))
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	defer srv.Close()
	if a := post(t, target+"/", "k", "{}"); a.status != 201 || a.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("got %+v, want a first execution", a)
	}
}

// A request without a claim that could not be sent is not said to have been sent.
func TestUnreachableUpstreamWithoutAClaim(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	target := start(t, "http://"+l.Addr().String())
	if a := post(t, target+"/", "", "{}"); a.status != 502 || !strings.Contains(a.body, `"code":"upstream-unreachable","retryable":true`) {
		t.Errorf("got %+v, want 502 upstream-unreachable, which is retryable", a)
	}
}

// What the upstream says and how it ends decide whether an outcome is kept as final.
func TestAnswersThatEndEarlyAreNotKept(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		wire  string
		first int    // status of the first answer
		retry string // Idempotency-Status of the retry
		runs  int64
	}{
		"whole":                       {created, 201, "replayed", 1},
		"short of its length":         {created[:len(created)-3], 502, "unknown", 1},
		"status below 100":            {"HTTP/1.1 099 x\r\n\r\n", 502, "unknown", 1},
		"cut late":                    {"HTTP/1.1 201 Created\r\nContent-Length: 400000\r\n\r\n" + strings.Repeat("x", 300_000), 502, "unknown", 1},
		"cut 401":                     {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nno", 502, "unknown", 1},
		"only half a head":            {created[:30], 502, "unknown", 1},
		"nothing":                     {"", 502, "unknown", 1},
		"not HTTP":                    {"hello\r\n\r\n", 502, "unknown", 1},
		"chunked, whole":              {"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 201, "replayed", 1},
		"chunked, no last chunk":      {"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", 502, "unknown", 1},
		"close-delimited JSON":        {"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n{\"id\":1}", 201, "replayed", 1},
		"close-delimited problem":     {"HTTP/1.0 201 Created\r\nContent-Type: application/a+json\r\n\r\n[1]", 201, "replayed", 1},
		"close-delimited number":      {"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n12", 201, "unknown", 1},
		"close-delimited JSON, cut":   {"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n{\"id\":", 201, "unknown", 1},
		"close-delimited text":        {"HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\n\r\nok", 201, "unknown", 1},
		"close-delimited, said no":    {"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/html\r\n\r\n<p>no", 401, "executed", 2},
		"no content":                  {"HTTP/1.1 204 No Content\r\n\r\n", 204, "replayed", 1},
		"interim first":               {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + created, 201, "replayed", 1},
		"switching protocols unasked": {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 502, "unknown", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := newScript(t, func(n int64, c net.Conn, r *http.Request) bool {
				_, _ = io.WriteString(c, tc.wire)
				return false
			})
			target := start(t, up.url())
			first := post(t, target+"/", "k", "{}")
			if first.status != tc.first {
				t.Errorf("first: got %+v, want %d", first, tc.first)
			}
			retry := post(t, target+"/", "k", "{}")
			if got := retry.header.Get("Idempotency-Status"); got != tc.retry {
				t.Errorf("retry: got %q, %d %s; want %q", got, retry.status, retry.body, tc.retry)
			}
			if tc.retry == "replayed" && (retry.status != first.status || retry.body != first.body) {
				t.Errorf("replay %d %q differs from the first answer %d %q", retry.status, retry.body, first.status, first.body)
			}
			if got := up.executed.Load(); got != tc.runs {
				t.Errorf("executed %d times, want %d", got, tc.runs)
			}
		})
	}
}

// The upstream's connection is cut at a random byte of the request or of the answer. Whatever happened, it happened at
// most once, and a replay is only given of what arrived whole.
func TestConnectionsCutAtRandomBytes(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	const rounds = 1000
	body := `{"amount":` + strings.Repeat("1", 300) + `}`

	var mu sync.Mutex
	ran := map[string]int{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cuts := make(chan [2]int, 1)
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { cutting(c, cuts, func(key string) { mu.Lock(); ran[key]++; mu.Unlock() }) })
		}
	})
	target := start(t, "http://"+l.Addr().String())
	var whole, cut int
	for i := range rounds {
		key := fmt.Sprintf("k%d", i)
		// Bytes of the request that are read, and bytes of the answer that are sent; beyond the end means all.
		c := [2]int{1 + rnd.IntN(1200), rnd.IntN(2 * len(created))}
		cuts <- c
		first := post(t, target+"/", key, body)
		select {
		case <-cuts: // it was never connected to
		default:
		}
		mu.Lock()
		n := ran[key]
		mu.Unlock()
		if first.status == 201 {
			whole++
			if n != 1 {
				t.Fatalf("seed %d, round %d: told 201, executed %d times", seed, i, n)
			}
		} else {
			cut++
		}
		retry := post(t, target+"/", key, body) // no cut is waiting for it: it must not be needed
		status := retry.header.Get("Idempotency-Status")
		switch {
		case first.status == 201 && (status != "replayed" || retry.body != first.body || retry.status != 201):
			t.Fatalf("seed %d, round %d, cut %v: retry of a whole answer got %q %+v", seed, i, c, status, retry)
		case first.status != 201 && n > 0 && status != "unknown":
			t.Fatalf("seed %d, round %d, cut %v: retry of an executed, unanswered request got %q %+v", seed, i, c, status, retry)
		}
		mu.Lock()
		if ran[key] > 1 {
			t.Fatalf("seed %d, round %d, cut %v: executed %d times", seed, i, c, ran[key])
		}
		mu.Unlock()
	}
	if whole == 0 || cut < rounds/4 {
		t.Errorf("%d whole and %d cut answers: the cuts did not land", whole, cut)
	}
	t.Logf("%d answers arrived whole, %d were cut", whole, cut)
}

// cutting serves one request of a connection, cut as told, and closes it.
func cutting(c net.Conn, cuts chan [2]int, executed func(key string)) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	var cut [2]int
	select {
	case cut = <-cuts:
	default:
		return
	}
	var seen bytes.Buffer
	req, err := http.ReadRequest(bufio.NewReader(io.TeeReader(io.LimitReader(c, int64(cut[0])), &seen)))
	if err != nil {
		return
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return
	}
	executed(req.Header.Get("Idempotency-Key"))
	_, _ = io.WriteString(c, created[:min(cut[1], len(created))])
}

func TestUpstreamSeesTheRequestAsItWas(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Clone(context.Background())
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(201)
		_, _ = io.WriteString(w, "ok")
		w.Header().Set("X-Sum", "2")
	}))
	defer up.Close()
	target := start(t, up.URL+"/base")
	req, _ := http.NewRequest("POST", target+"/a%2Fb/c?x=1&y=%20", strings.NewReader("body"))
	req.Header = http.Header{
		"idempotency-key": {`"k"`}, "X-One": {"1", "2"}, "Connection": {"X-Hop, Idempotency-Key"}, "X-Hop": {"h"},
		"Idempotency-Fence": {"99"}, "Accept-Encoding": {"gzip"}, "X-Forwarded-For": {"10.0.0.9"}, "Te": {"trailers"},
		"Idempotency_Fence": {"99"}, "X_forwarded_For": {"10.0.0.8"}, "X_One": {"3"}, // which PHP takes for those with hyphens
	}
	req.Host = "api.example"
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); string(b) != "ok" || resp.Trailer.Get("X-Sum") != "2" {
		t.Errorf("got %q with trailer %v", b, resp.Trailer)
	}
	r := <-got
	for field, want := range map[string]string{
		"Idempotency-Key": `"k"`, "X-One": "1,2", "X-Hop": "", "Idempotency_fence": "", "X_forwarded_for": "", "X_one": "3",
		"Accept-Encoding": "identity",
		"X-Forwarded-For": "10.0.0.9, 127.0.0.1", "X-Forwarded-Host": "api.example", "X-Forwarded-Proto": "http",
	} {
		if got := strings.Join(r.Header[field], ","); got != want {
			t.Errorf("%s: got %q, want %q", field, got, want)
		}
	}
	if fence := r.Header["Idempotency-Fence"]; len(fence) != 1 || fence[0] == "99" {
		t.Errorf("Idempotency-Fence: got %v, want the claim's", fence)
	}
	if r.Header.Get("Idempotency-Attempt") == "" {
		t.Error("no Idempotency-Attempt")
	}
	if r.RequestURI != "/base/a%2Fb/c?x=1&y=%20" || r.Host != "api.example" || r.ContentLength != 4 {
		t.Errorf("got %s at %s with %d bytes", r.RequestURI, r.Host, r.ContentLength)
	}
}

func TestRequestsWithoutAClaimCarryNoMarks(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 1)
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Clone() }))
	defer up.Close()
	target := start(t, up.URL)
	for _, method := range []string{"GET", "POST", "DELETE"} { // safe, without a key, on no route
		req, _ := http.NewRequest(method, target, nil)
		req.Header["Idempotency-Fence"], req.Header["Idempotency-Attempt"] = []string{"99"}, []string{"x"}
		req.Header["Idempotency-Status"], req.Header["Idempotency-Key-Source"] = []string{"executed"}, []string{"derived"}
		req.Header["Idempotency_Fence"], req.Header["X_Forwarded_Host"] = []string{"99"}, []string{"other"}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		h := <-got
		if h.Get("Idempotency_fence")+h.Get("X_forwarded_host")+h.Get("Idempotency-Fence")+h.Get("Idempotency-Attempt")+
			h.Get("Idempotency-Status")+h.Get("Idempotency-Key-Source") != "" {
			t.Errorf("%s reached the upstream with %v", method, h)
		}
	}
}

// What the upstream sends is never in the log, however broken it is.
func TestLogsDoNotQuoteTheUpstream(t *testing.T) {
	t.Parallel()
	for _, wire := range []string{
		"HTTP/1.1 200 OK\r\nSet-Cookie: sid=SECRET\x01\r\n\r\n", "SECRET\r\n\r\n", "HTTP/1.1 SECRET\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n",
		"HTTP/1.1 200 OK\r\nSECRET\r\n\r\n",
	} {
		up := newScript(t, func(_ int64, c net.Conn, _ *http.Request) bool {
			_, _ = io.WriteString(c, wire)
			return false
		})
		var mu sync.Mutex
		var log bytes.Buffer
		target := startLogged(t, up.url(), slog.New(slog.NewTextHandler(&lockedWriter{&mu, &log}, nil)))
		for _, key := range []string{"k", ""} {
			post(t, target+"/", key, "{}")
		}
		mu.Lock()
		if strings.Contains(log.String(), "SECRET") || log.Len() == 0 {
			t.Errorf("%q: the log is\n%s", wire, log.String())
		}
		mu.Unlock()
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func TestPromise09_HangUpDoesNotStopTheOperation(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(entered)
		select {
		case <-release:
			_, _ = io.WriteString(w, "done")
		case <-r.Context().Done():
			t.Error("the proxy hung up on the upstream")
		}
	}))
	defer up.Close()
	target := start(t, up.URL)
	ctx, hangUp := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, "POST", target, strings.NewReader("{}"))
	req.Header["idempotency-key"] = []string{"k"}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
			resp.Body.Close()
			t.Error("the first client got an answer")
		}
	}()
	<-entered
	hangUp()
	<-gone
	close(release)
	if a := post(t, target, "k", "{}"); a.body != "done" || a.header.Get("Idempotency-Status") != "replayed" {
		t.Errorf("retry: got %+v", a)
	}
}
