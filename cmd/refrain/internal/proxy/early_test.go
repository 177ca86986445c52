package proxy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// large is more than the buffers of a connection hold: who sends it and is not read from is stuck.
const large = 6 << 20

// A hasty upstream does with each connection what it likes, before or without reading the request.
type hasty struct {
	url    string
	client *tls.Config // nil: plain
	conns  atomic.Int64
}

// newHasty starts one. A connection is closed when act returns.
func newHasty(t *testing.T, encrypted bool, act func(c *met)) *hasty {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	up := &hasty{url: "http://" + l.Addr().String()}
	var server *tls.Config
	if encrypted {
		s := httptest.NewTLSServer(http.NotFoundHandler())
		defer s.Close()
		server, up.client = s.TLS, s.Client().Transport.(*http.Transport).TLSClientConfig
		server.NextProtos, up.url = nil, "https://"+l.Addr().String()
	}
	var conns sync.WaitGroup
	t.Cleanup(func() { l.Close(); conns.Wait() })
	conns.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			up.conns.Add(1)
			conns.Go(func() {
				defer raw.Close() // with a reset if there is something unread
				_ = raw.SetDeadline(time.Now().Add(time.Minute))
				c := raw
				if server != nil {
					c = tls.Server(raw, server)
				}
				act(&met{c, bufio.NewReader(c), t.Context().Done()})
			})
		}
	})
	return up
}

// start serves the proxy in front of it.
func (up *hasty) start(t *testing.T) string {
	t.Helper()
	base, err := url.Parse(up.url)
	if err != nil {
		t.Fatal(err)
	}
	policy := refrainhttp.Policy{Limits: refrainhttp.Limits{RequestBody: 2 * large, ResponseBody: 2 * large}}
	return startConfigured(t, Config{Upstream: base, TLS: up.client}, memstore.New(memstore.Config{}), policy)
}

func answered(status int, reason, more string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\n%sContent-Length: 6\r\n\r\nearly\n", status, reason, more)
}

// A met connection is one that a hasty upstream has accepted.
type met struct {
	net.Conn
	r   *bufio.Reader
	end <-chan struct{} // of the test
}

// head reads the request's head, and nothing more.
func (c *met) head() (*http.Request, bool) {
	req, err := http.ReadRequest(c.r)
	return req, err == nil
}

// An upstream that answers before it has read the request, if it ever reads it, has answered (RFC 9112, sections 9.3 and 9.5).
// What it answers is the outcome if it is whole, though the request could not be sent to its end.
func TestEarlyAnswers(t *testing.T) {
	t.Parallel()
	const closing = "Connection: close\r\n"
	tooLarge := answered(413, "Content Too Large", closing)
	at := func(wire string) func(*met) {
		return func(c *met) {
			if _, ok := c.head(); ok {
				_, _ = io.WriteString(c, wire)
			}
		}
	}
	for name, tc := range map[string]struct {
		act           func(c *met)
		status        int
		first, second string // Idempotency-Status
	}{
		"413":                  {at(tooLarge), 413, "executed", "replayed"},
		"400":                  {at(answered(400, "Bad Request", closing)), 400, "executed", "replayed"},
		"200":                  {at(answered(200, "OK", "")), 200, "executed", "replayed"},
		"204":                  {at("HTTP/1.1 204 No Content\r\n\r\n"), 204, "executed", "replayed"},
		"401":                  {at(answered(401, "Unauthorized", closing)), 401, "executed", "executed"},
		"503 with Retry-After": {at(answered(503, "Service Unavailable", "Retry-After: 1\r\n")), 503, "executed", "executed"},
		"500":                  {at(answered(500, "Internal Server Error", closing)), 500, "unknown", "unknown"},
		"100 first":            {at("HTTP/1.1 100 Continue\r\n\r\n" + tooLarge), 413, "executed", "replayed"},
		"103 first":            {at("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + tooLarge), 413, "executed", "replayed"},
		"chunked":              {at("HTTP/1.1 413 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"), 413, "executed", "replayed"},
		"JSON until the end":   {at("HTTP/1.1 413 x\r\nContent-Type: application/json\r\n\r\n{\"max\":1}"), 413, "executed", "replayed"},

		"cut":              {at(tooLarge[:len(tooLarge)-1]), 502, "unknown", "unknown"},
		"cut in the head":  {at(tooLarge[:30]), 502, "unknown", "unknown"},
		"cut chunks":       {at("HTTP/1.1 413 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n"), 502, "unknown", "unknown"},
		"cut JSON":         {at("HTTP/1.1 413 x\r\nContent-Type: application/json\r\n\r\n{\"max\":"), 0, "", "unknown"},
		"text, to the end": {at("HTTP/1.1 413 x\r\nContent-Type: text/plain\r\n\r\ntoo lar"), 0, "", "unknown"},
		"nothing":          {at(""), 502, "unknown", "unknown"},
		"only 100":         {at("HTTP/1.1 100 Continue\r\n\r\n"), 502, "unknown", "unknown"},

		"before the head": {func(c *met) {
			_, _ = c.r.Peek(1)
			_, _ = io.WriteString(c, tooLarge)
		}, 413, "executed", "replayed"},
		"after half the body": {func(c *met) {
			if req, ok := c.head(); ok {
				_, _ = io.CopyN(io.Discard, req.Body, req.ContentLength/2)
				_, _ = io.WriteString(c, tooLarge)
			}
		}, 413, "executed", "replayed"},
		"half-closed, and not read": {func(c *met) {
			if _, ok := c.head(); ok {
				_, _ = io.WriteString(c, tooLarge)
				_ = c.Conn.(interface{ CloseWrite() error }).CloseWrite()
				<-c.end
			}
		}, 413, "executed", "replayed"},
		"kept open, and not read": {func(c *met) {
			if _, ok := c.head(); ok {
				_, _ = io.WriteString(c, answered(413, "x", ""))
				<-c.end
			}
		}, 413, "executed", "replayed"},
		"401, kept open, and not read": {func(c *met) {
			if _, ok := c.head(); ok {
				_, _ = io.WriteString(c, answered(401, "x", ""))
				<-c.end
			}
		}, 401, "executed", "executed"},
		"read to the end": {func(c *met) {
			if req, ok := c.head(); ok {
				_, _ = io.WriteString(c, answered(202, "Accepted", ""))
				_, _ = io.Copy(io.Discard, req.Body)
			}
		}, 202, "executed", "replayed"},
		"echo": {func(c *met) {
			if req, ok := c.head(); ok {
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", req.ContentLength)
				_, _ = io.Copy(c.Conn, req.Body)
			}
		}, 200, "executed", "replayed"},
	} {
		for _, encrypted := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", TLS: ", encrypted), func(t *testing.T) {
				t.Parallel()
				up := newHasty(t, encrypted, tc.act)
				target := up.start(t)
				body := strings.Repeat("x", large)
				first := post(t, target, "k", body)
				if got := first.header.Get("Idempotency-Status"); tc.status != 0 && (first.status != tc.status || got != tc.first) {
					t.Errorf("first: got %d %q, %v, want %d %q", first.status, got, first.err, tc.status, tc.first)
				}
				second := post(t, target, "k", body)
				if got := second.header.Get("Idempotency-Status"); got != tc.second {
					t.Errorf("second: got %d %q, %v, want %q", second.status, got, second.err, tc.second)
				}
				if tc.second == "replayed" && second.body != first.body {
					t.Errorf("got a replay of %d bytes, want the %d of the first answer", len(second.body), len(first.body))
				}
				want := int64(1)
				if tc.second == "executed" {
					want = 2
				}
				if n := up.conns.Load(); n != want {
					t.Errorf("it was sent on %d connections, want %d", n, want)
				}
			})
		}
	}
}

// Who has answered and goes on reading gets the rest of the request, for a while, and then the end.
func TestAnsweredUpstreamMayReadOn(t *testing.T) {
	t.Parallel()
	message := make([]byte, 3*atOnce)
	for _, tc := range []struct {
		more bool // it did not say that it closes
		read int64
		want bool // it gets all
	}{
		{true, math.MaxInt64, true},
		{true, 2 * atOnce, false}, // the end comes in spite of that
		{false, math.MaxInt64, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			server, client := net.Pipe()
			read := func(n int64) int64 {
				n, _ = io.CopyN(io.Discard, server, n)
				return n
			}
			c := newConn(client, client)
			var got int64
			go func() { got = read(atOnce) }()
			if err := c.send(t.Context(), message); err != nil {
				t.Fatal(err)
			}
			if c.sent() {
				t.Error("all was sent before it was read")
			}
			synctest.Wait()
			c.leave(tc.more)
			got += read(tc.read - got)
			if all := got == int64(len(message)); all != tc.want {
				t.Errorf("%+v: it got %d of %d bytes", tc, got, len(message))
			}
			synctest.Wait()
			time.Sleep(2 * linger) // of virtual time
			if _, err := client.Write(nil); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("%+v: got %v, want a closed connection", tc, err)
			}
		})
	}
}

// A request of which one byte was read was sent.
func TestWhatWasBegunWasSent(t *testing.T) {
	t.Parallel()
	server, client := net.Pipe()
	go func() {
		_, _ = server.Read(make([]byte, 1))
		_ = server.Close()
	}()
	c := newConn(client, client)
	if err := c.send(t.Context(), []byte("POST")); err != nil || c.sent() {
		t.Errorf("got %v, and that all was sent is %t; want neither", err, c.sent())
	}
	if err := c.send(t.Context(), []byte("POST")); err == nil {
		t.Error("on a closed connection something was sent")
	}
}

// The upstream stops reading at a random byte of the request, sends its answer up to a random byte, and goes, with or without a
// reset. An answer that was sent whole is the outcome, and its retry's; any other leaves it unknown. Nothing is sent twice.
func TestAnswersCutWhileSending(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	body := strings.Repeat("x", 8*atOnce)
	whole := answered(201, "Created", "Connection: close\r\n") // else the next request may go to a connection that is about to close
	for _, encrypted := range []bool{false, true} {
		type cut struct{ read, write int64 }
		cuts := make(chan cut, 1)
		up := newHasty(t, encrypted, func(c *met) {
			at := <-cuts
			_, _ = io.CopyN(io.Discard, c.r, at.read)
			_, _ = io.WriteString(c, whole[:at.write])
		})
		target := up.start(t)
		for i := range 200 {
			at := cut{1 + rnd.Int64N(int64(len(body))), min(rnd.Int64N(2*int64(len(whole))), int64(len(whole)))}
			cuts <- at
			key := fmt.Sprint("k", i)
			first := post(t, target, key, body)
			want, status := 502, "unknown"
			if at.write == int64(len(whole)) {
				want, status = 201, "replayed"
			}
			if first.status != want {
				t.Fatalf("round %d, TLS %t, %+v: got %+v, want %d", i, encrypted, at, first, want)
			}
			if retry := post(t, target, key, body); retry.header.Get("Idempotency-Status") != status {
				t.Fatalf("round %d, TLS %t, %+v: the retry got %+v, want %s", i, encrypted, at, retry, status)
			}
			if n := up.conns.Load(); n != int64(i+1) {
				t.Fatalf("round %d, TLS %t: it was sent on %d connections", i, encrypted, n-int64(i))
			}
		}
	}
}
