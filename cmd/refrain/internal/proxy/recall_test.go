package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A twin is one middleware behind two listeners: one that recalls on the connection, and one that leaves all to net/http.
type twin struct {
	fast, plain net.Conn
	memory      *Memory // of the fast one
	recalled    atomic.Int64
	repeated    atomic.Int64
	served      atomic.Int64
}

func newTwin(t *testing.T) *twin {
	t.Helper()
	guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	mw, err := refrainhttp.New(guard, refrainhttp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	handler := mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header()["X-Many"] = []string{"1", "2"}
		w.Header().Set("Location", "/charges/1")
		w.Header().Set("Set-Cookie", "a=b")
		switch r.URL.Path {
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/nameless":
			w.WriteHeader(299)
		case "/declined":
			w.WriteHeader(http.StatusPaymentRequired)
			_, _ = io.WriteString(w, "no")
		default:
			_, _ = fmt.Fprintf(w, "%s %s", r.URL, body)
		}
	}))
	tw := &twin{}
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tw.served.Add(1)
		handler.ServeHTTP(w, r)
	})
	tw.memory = NewMemory(&counting{handler.(refrainhttp.Recaller), &tw.recalled, &tw.repeated})
	tw.fast = dialServer(t, counted, func() *Memory { return tw.memory })
	tw.plain = dialServer(t, counted, nil)
	t.Cleanup(func() { _ = guard.Close(context.Background()) })
	return tw
}

// A counting counts what is recalled, and what is repeated without being recalled.
type counting struct {
	refrainhttp.Recaller
	recalled, repeated *atomic.Int64
}

func (c *counting) ServeRecalled(w http.ResponseWriter, r *http.Request, body []byte) (func() bool, bool) {
	again, ok := c.Recaller.ServeRecalled(w, r, body)
	if ok {
		c.recalled.Add(1)
	}
	if again == nil {
		return nil, ok
	}
	return func() bool {
		ok := again()
		if ok {
			c.repeated.Add(1)
		}
		return ok
	}, ok
}

func dialServer(t *testing.T, h http.Handler, memory func() *Memory) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, IdleTimeout: time.Minute}
	go func() { _ = srv.Serve(StrictListener(l, memory, time.Minute)) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { c.Close(); srv.Close() })
	return c
}

// exchange sends a raw request and returns the answer but for its date, its fields in order.
func exchange(t *testing.T, c net.Conn, raw string) string {
	t.Helper()
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.ParseTime(resp.Header.Get("Date")); err != nil || r.Buffered() > 0 {
		t.Errorf("Date: %v; %d bytes behind the answer", err, r.Buffered())
	}
	resp.Header.Del("Date")
	var head strings.Builder
	_ = resp.Header.Write(&head)
	return fmt.Sprintf("%s %d\n%s\n%s", resp.Status, resp.ContentLength, head.String(), body)
}

// What is answered from memory on the connection is what the HTTP server would have answered.
func TestRecalledAnswersAreTheServers(t *testing.T) {
	t.Parallel()
	tw := newTwin(t)
	raw := func(path, fields, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: api\r\n%sContent-Length: %d\r\n\r\n%s", path, fields, len(body), body)
	}
	const key = "Idempotency-Key: k\r\n"
	for _, path := range []string{"/", "/a%20b?x=1", "/empty", "/declined", "/nameless"} {
		k := "Idempotency-Key: k-" + path + "\r\n"
		first := raw(path, k+"Content-Type: application/json\r\n", `{"a":1}`)
		exchange(t, tw.plain, first) // runs
		exchange(t, tw.plain, first) // is replayed by the store, and recalled from now on
		for name, req := range map[string]string{
			"same":       first,
			"reordered":  raw(path, "Connection: keep-alive\r\nContent-Type: application/json\r\n"+k, `{ "a": 1.0 }`),
			"mismatch":   raw(path, k+"Content-Type: application/json\r\n", `{"a":2}`),
			"other type": raw(path, k, `{"a":1}`),
			"quoted":     raw(path, "Idempotency-Key: \"k-"+path+"\"\r\nContent-Type: application/json\r\n", `{"a":1}`),
		} {
			before := tw.recalled.Load()
			fast, plain := exchange(t, tw.fast, req), exchange(t, tw.plain, req)
			if fast != plain {
				t.Errorf("%s %s: recalled\n%s\nbut the server says\n%s", path, name, fast, plain)
			}
			if tw.recalled.Load() != before+1 {
				t.Errorf("%s %s: was not recalled", path, name)
			}
			repeated, want := tw.repeated.Load(), int64(1)
			if name == "mismatch" || name == "other type" {
				want = 0 // an answer of its own, put together each time
			}
			if again := exchange(t, tw.fast, req); again != plain {
				t.Errorf("%s %s: repeated\n%s\nbut the server says\n%s", path, name, again, plain)
			}
			if got := tw.repeated.Load() - repeated; got != want {
				t.Errorf("%s %s: was repeated %d times, want %d", path, name, got, want)
			}
		}
	}
	// Whatever is out of the ordinary is the server's.
	known := "Idempotency-Key: k-/\r\nContent-Type: application/json\r\n"
	for name, req := range map[string]string{
		"another key":  raw("/", key, "{}"),
		"no key":       raw("/", "", "{}"),
		"two keys":     raw("/", key+key, "{}"),
		"expect":       raw("/", known+"Expect: 100-continue\r\n", `{"a":1}`),
		"trailers":     raw("/", known+"TE: trailers\r\n", `{"a":1}`),
		"chunked":      "POST / HTTP/1.1\r\nHost: api\r\n" + known + "Transfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n",
		"other method": "GET / HTTP/1.1\r\nHost: api\r\n" + known + "\r\n",
		"bare LF":      "POST / HTTP/1.1\nHost: api\n" + strings.ReplaceAll(known, "\r", "") + "Content-Length: 9\n\nZZ\r\n\r\nBOD",
		"principal":    raw("/", known+"Authorization: Bearer x\r\n", `{"a":1}`),
	} {
		before := tw.recalled.Load() + tw.repeated.Load()
		if name == "expect" {
			continue // its interim answer is in the way of this test's comparison
		}
		exchange(t, tw.fast, req)
		if tw.recalled.Load()+tw.repeated.Load() != before {
			t.Errorf("%s: was recalled", name)
		}
	}
}

// What the server refuses is not answered from memory either.
func TestRecallRefusesWhatTheServerRefuses(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string]string{
		"space before colon":  "Transfer-Encoding : chunked\r\n",
		"spaced credential":   "Authorization : B\r\n",
		"second key, spaced":  "Idempotency-Key : k2\r\n",
		"space in a name":     "X A: 1\r\n",
		"second host":         "Host: other\r\n",
		"control in a value":  "X-A: a\x01b\r\n",
		"folded":              "X-A: a\r\n b\r\n",
		"line without colon":  "nonsense\r\n",
		"carriage return":     "X-A: a\rb\r\n",
		"line feed in a line": "X-A: a\nX-B: b\r\n",
	} {
		head := "POST / HTTP/1.1\r\nHost: api\r\nIdempotency-Key: k\r\n" + fields + "Content-Length: 1"
		if plainHead([]byte(head)) {
			t.Errorf("%s: %q is taken for a plain head", name, head)
		}
	}
	for _, head := range []string{
		"POST / HTTP/1.1\r\nHost: a b", "POST / HTTP/1.1\r\nHost: a/b", "POST / HTTP/1.1\r\nHost:", "POST / HTTP/1.1",
		"POST  / HTTP/1.1\r\nHost: a", "POST / x HTTP/1.1\r\nHost: a",
	} {
		if plainHead([]byte(head)) {
			t.Errorf("%q is taken for a plain head", head)
		}
	}
	if head := "POST /a?b=c HTTP/1.1\r\nHost: api.example:8080\r\nX-A: \tb; c=\"d\""; !plainHead([]byte(head)) {
		t.Errorf("%q is not taken for a plain head", head)
	}
}

// Requests that come in pieces or together keep their order.
func TestRecallKeepsTheOrder(t *testing.T) {
	t.Parallel()
	tw := newTwin(t)
	req := func(key, body string) string {
		return fmt.Sprintf("POST / HTTP/1.1\r\nHost: api\r\nIdempotency-Key: %s\r\nContent-Length: %d\r\n\r\n%s", key, len(body), body)
	}
	for range 2 {
		exchange(t, tw.plain, req("known", "x"))
	}
	stream := req("new-1", "1") + req("known", "x") + req("new-2", "2") + req("known", "x") + req("known", "x")
	want := []string{"/ 1", "/ x", "/ 2", "/ x", "/ x"}
	for _, step := range []int{1, 7, 50, len(stream)} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for rest := stream; rest != ""; {
				n := min(step, len(rest))
				_, _ = io.WriteString(tw.fast, rest[:n])
				rest = rest[n:]
			}
		}()
		r := bufio.NewReader(tw.fast)
		for i, w := range want {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, _ := io.ReadAll(resp.Body); string(body) != w {
				t.Errorf("step %d, answer %d: got %q, want %q", step, i, body, w)
			}
		}
		<-done
	}
	if tw.served.Load() == 0 {
		t.Error("nothing was left to the server")
	}
}

// A refusing recalls nothing.
type refusing struct{}

func (refusing) MayRecall([]byte) bool { return false }

func (refusing) ServeRecalled(http.ResponseWriter, *http.Request, []byte) (func() bool, bool) {
	return nil, false
}

// A halting is a connection whose first write of an answer stops halfway.
type halting struct {
	net.Conn
	halted bool
}

func (c *halting) Write(p []byte) (int, error) {
	if c.halted {
		return c.Conn.Write(p)
	}
	c.halted = true
	n, _ := c.Conn.Write(p[:len(p)/2])
	return n, os.ErrDeadlineExceeded
}

// Nothing follows half an answer: the client would take it for the rest.
func TestNothingFollowsHalfAnAnswer(t *testing.T) {
	t.Parallel()
	tw := newTwin(t)
	const raw = "POST / HTTP/1.1\r\nHost: api\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n"
	exchange(t, tw.plain, raw)
	whole := len(exchange(t, tw.plain, raw))
	server, client := net.Pipe()
	defer client.Close()
	_ = client.SetDeadline(time.Now().Add(time.Minute))
	strict := &StrictConn{Conn: &halting{Conn: server}, memory: func() *Memory { return tw.memory }, idle: time.Minute}
	failed := make(chan error, 1)
	go func() {
		_, err := strict.Read(make([]byte, 4096))
		failed <- errors.Join(err, server.Close())
	}()
	go func() { _, _ = io.WriteString(client, raw); _, _ = io.WriteString(client, raw) }()
	got, _ := io.ReadAll(client)
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading on: %v; want the error of the write", err)
	}
	if len(got) >= whole {
		t.Errorf("half an answer was followed by more: %q", got)
	}
}
