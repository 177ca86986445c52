package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// serve serves the handler as a gateway does, for at most limit clients, and returns its address.
func serve(t *testing.T, h http.HandlerFunc, limit int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(h, slog.New(slog.DiscardHandler))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(clients(bounded(l, limit), nil))
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestEveryServerLimitIsSet(t *testing.T) {
	t.Parallel()
	s := newServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if s.ReadHeaderTimeout == 0 || s.IdleTimeout == 0 || s.MaxHeaderBytes == 0 || s.HTTP2.MaxConcurrentStreams == 0 {
		t.Errorf("got %+v, want no limit to be zero", s)
	}
}

// A pipeListener accepts one end of a pipe at once, whenever it is asked.
type pipeListener struct{ net.Listener }

func (pipeListener) Accept() (net.Conn, error) {
	_, server := net.Pipe()
	return server, nil
}

func TestClientsBeyondTheLimitWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := clients(bounded(pipeListener{}, 2), nil)
		accepted := make(chan net.Conn, 4)
		for range 4 {
			go func() {
				c, err := l.Accept()
				if err != nil {
					t.Error(err)
				}
				accepted <- c
			}()
		}
		synctest.Wait()
		if len(accepted) != 2 {
			t.Fatalf("got %d clients, want 2", len(accepted))
		}
		first := <-accepted
		_ = first.Close()
		_ = first.Close() // a second close frees no second slot
		synctest.Wait()
		if len(accepted) != 2 {
			t.Errorf("got %d clients after the first had gone, want 2", len(accepted))
		}
		_ = (<-accepted).Close()
		synctest.Wait()
		if len(accepted) != 2 {
			t.Errorf("got %d clients after the second had gone, want 2", len(accepted))
		}
	})
}

func TestHeadersOverTheLimitAreRefused(t *testing.T) {
	t.Parallel()
	addr := serve(t, func(http.ResponseWriter, *http.Request) {}, 10)
	c := dial(t, addr)
	go fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Large: %s\r\n\r\n", strings.Repeat("x", 2*maxHeaderBytes))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %v, %v, want status 431", resp, err)
	}
}

func TestAmbiguousFramingIsRefused(t *testing.T) {
	t.Parallel()
	ran := make(chan struct{}, 1)
	addr := serve(t, func(http.ResponseWriter, *http.Request) { ran <- struct{}{} }, 10)
	c := dial(t, addr)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != http.StatusBadRequest || len(ran) != 0 {
		t.Errorf("got %v, %v, %d runs, want status 400 and none", resp, err, len(ran))
	}
}

// RFC 9112, section 2.2: old clients end a body with an empty line.
func TestEmptyLineBehindABody(t *testing.T) {
	t.Parallel()
	var ran atomic.Int64
	addr := serve(t, func(http.ResponseWriter, *http.Request) { ran.Add(1) }, 10)
	c := dial(t, addr)
	r := bufio.NewReader(c)
	for range 3 {
		fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok\r\n")
		if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("got %v, %v, want status 200", resp, err)
		}
	}
	if ran.Load() != 3 {
		t.Errorf("got %d requests, want 3", ran.Load())
	}
}

// What follows an ambiguous request is not read, however its head was cut when it came: the server looks at the first 14 bytes of a
// connection alone, and takes a line that breaks off for a whole one.
func TestNothingFollowsARefusal(t *testing.T) {
	t.Parallel()
	const ambiguous = "\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, request := range []string{
		"GET / HTTP/1.1" + ambiguous, "PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1" + ambiguous, "POST /charges HTTP/1.1" + ambiguous, "\r\n0123456789XXGET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		var ran atomic.Int64
		addr := serve(t, func(http.ResponseWriter, *http.Request) { ran.Add(1) }, 10)
		c := dial(t, addr)
		r := bufio.NewReader(c)
		fmt.Fprint(c, request)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Fatalf("got %v, %v, want status 400", resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		fmt.Fprint(c, "Host: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n") // a reset may be the answer
		if more, _ := io.ReadAll(r); len(more) > 0 || ran.Load() > 0 {
			t.Errorf("%q: %d requests ran, and behind the refusal came %q", request, ran.Load(), more)
		}
	}
}

func TestHTTP2WithoutTLS(t *testing.T) {
	t.Parallel()
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprint(w, r.Proto, " ", len(body), " ", err)
	}, 10)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	defer client.CloseIdleConnections()
	resp, err := client.Post("http://"+addr, "text/plain", strings.NewReader(strings.Repeat("x", 3*paceStep)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if want := fmt.Sprint("HTTP/2.0 ", 3*paceStep, " <nil>"); string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// However many connections of HTTP/2 begin requests and go, the requests that run are bounded, and those that wait go with them.
func TestRequestsBeyondTheLimitWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 3
		var began, ended atomic.Int64
		gate := make(chan struct{})
		h := admitted(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			began.Add(1)
			<-gate // though its client has left
			ended.Add(1)
		}), limit)
		ctx, leave := context.WithCancel(t.Context())
		ask := func(major int) {
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", nil)
			r.ProtoMajor = major
			go h.ServeHTTP(httptest.NewRecorder(), r)
			synctest.Wait()
		}
		for range 3 * limit {
			ask(2)
		}
		leave()
		synctest.Wait()
		if n := began.Load(); n != limit {
			t.Errorf("%d requests ran at one time, want %d", n, limit)
		}
		ask(1)
		if n := began.Load(); n != limit+1 {
			t.Error("a request of HTTP/1 waits for those of HTTP/2")
		}
		close(gate)
		ctx = t.Context()
		ask(2)
		if n := ended.Load(); n != limit+2 {
			t.Errorf("%d requests ended, want those that ran and one that came after them", n)
		}
	})
}

// What is one word in HTTP/1 may have spaces over HTTP/2: the upstream would read another target or version behind one.
func TestHeadsOfHTTP2StayOneLine(t *testing.T) {
	t.Parallel()
	var ran atomic.Int64
	addr := serve(t, func(http.ResponseWriter, *http.Request) { ran.Add(1) }, 10)
	for _, tc := range []struct {
		method, path, authority string
		want                    byte // the status, as HPACK's table has it
	}{
		{"POST", "/charges?a=b", "api", 0x88},
		{"POST /admin HTTP/1.1", "/charges", "api", 0x8c},
		{"POST\t/admin", "/charges", "api", 0x8c},
		{"POST", "/charges?x HTTP/1.0", "api", 0x8c},
		{"POST", "/charges x", "api", 0x8c},
		{"POST", "/charges", "a b", 0x8c},
	} {
		c := dial(t, addr)
		var block []byte
		for _, f := range [][2]string{{":method", tc.method}, {":path", tc.path}, {":authority", tc.authority}, {":scheme", "http"}} {
			block = append(append(block, 0, byte(len(f[0]))), f[0]...)
			block = append(append(block, byte(len(f[1]))), f[1]...)
		}
		fmt.Fprint(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x00\x00\x00\x04\x00\x00\x00\x00\x00") // and no settings
		fmt.Fprintf(c, "\x00\x00%c\x01\x05\x00\x00\x00\x01%s", len(block), block)                 // all that stream 1 sends
		if got := statusOf(t, c); got != tc.want {
			t.Errorf("%+v: got status %#x", tc, got)
		}
	}
	if ran.Load() != 1 {
		t.Errorf("%d requests ran, want 1", ran.Load())
	}
}

// statusOf returns the first byte of the first header that comes.
func statusOf(t *testing.T, c net.Conn) byte {
	t.Helper()
	r := bufio.NewReader(c)
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(r, head); err != nil {
			t.Fatal(err)
		}
		frame := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(r, frame); err != nil {
			t.Fatal(err)
		}
		if head[3] == 1 {
			return frame[0]
		}
	}
}
