package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A deadlineWriter notes the deadlines that are set for reading.
type deadlineWriter struct {
	http.ResponseWriter
	deadlines []time.Time
}

func (w *deadlineWriter) SetReadDeadline(t time.Time) error {
	w.deadlines = append(w.deadlines, t)
	return nil
}

func TestBodyThatKeepsComingGetsMoreTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		w := &deadlineWriter{ResponseWriter: httptest.NewRecorder()}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 2*paceStep)))
		paced(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			buf := make([]byte, paceStep)
			for range 2 {
				_, _ = io.ReadFull(r.Body, buf)
				time.Sleep(time.Second)
			}
			_, _ = r.Body.Read(buf)
		})).ServeHTTP(w, r)
		want := []time.Time{
			begun.Add(bodyGrace), begun.Add(allowance(paceStep)), begun.Add(allowance(2 * paceStep)), {},
		}
		if len(w.deadlines) != len(want) {
			t.Fatalf("got deadlines %v, want %v", w.deadlines, want)
		}
		for i, d := range w.deadlines {
			if !d.Equal(want[i]) {
				t.Errorf("deadline %d: got %v, want %v", i, d, want[i])
			}
		}
	})
}

func TestRequestWithoutBodyHasNoDeadline(t *testing.T) {
	t.Parallel()
	w := &deadlineWriter{ResponseWriter: httptest.NewRecorder()}
	r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
	paced(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) })).ServeHTTP(w, r)
	if len(w.deadlines) != 0 {
		t.Errorf("got deadlines %v, want none", w.deadlines)
	}
}

// However a handler treats a body that does not come, its client is answered and left: the server would wait for the rest of it.
func TestBodyThatDoesNotComeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"read":     func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) },
		"not read": func(http.ResponseWriter, *http.Request) {},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			l := &onceListener{conn: server, closed: make(chan struct{})}
			s := newServer(h, slog.New(slog.DiscardHandler))
			go func() { _ = s.Serve(l) }()
			defer s.Close()
			begun := time.Now()
			_ = client.SetDeadline(begun.Add(time.Hour)) // of virtual time
			_, _ = io.WriteString(client, "POST / HTTP/1.1\r\nHost: api\r\nContent-Length: 9\r\n\r\nhalf")
			got, err := io.ReadAll(client)
			if took := time.Since(begun); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 ") || took > 2*bodyGrace {
				t.Errorf("%s: got %q, %v after %v of virtual time; want an answer, and the end after %v", name, got, err, took, bodyGrace)
			}
		})
	}
}

// A onceListener accepts one connection.
type onceListener struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *onceListener) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *onceListener) Close() error {
	close(l.closed)
	return nil
}

func (l *onceListener) Addr() net.Addr { return &net.TCPAddr{} }

func TestClientThatDoesNotReadIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		begun := time.Now()
		_, err := pacedConn{server}.Write(make([]byte, minRate)) // nobody reads
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v, want that the deadline passed", err)
		}
		if took, want := time.Since(begun), bodyGrace+time.Second; took != want {
			t.Errorf("gave up after %v of virtual time, want %v", took, want)
		}
	})
}

// overHTTP2 has a client with a window of that many bytes ask a server for what the handler answers.
func overHTTP2(t *testing.T, window int, h http.HandlerFunc) (*http.Response, *http.Server) {
	client, server := net.Pipe()
	s := newServer(h, slog.New(slog.DiscardHandler))
	go func() { _ = s.Serve(&onceListener{conn: server, closed: make(chan struct{})}) }()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil },
		Protocols:   protocols, HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: window},
	}
	t.Cleanup(func() { client.Close(); s.Close() })
	resp, err := transport.RoundTrip(httptest.NewRequest(http.MethodGet, "http://api/", nil))
	if err != nil {
		t.Fatal(err)
	}
	return resp, s
}

// Streams of HTTP/2 end as connections of HTTP/1 do when nobody takes what is written, however small it is.
func TestStreamThatIsNotReadIsLeft(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100_000, 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, s := overHTTP2(t, 1, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) })
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // of virtual time
				defer cancel()
				if err := s.Shutdown(ctx); err != nil {
					t.Errorf("after an hour the stream is still there: %v", err)
				}
			})
		})
	}
}

// What is written now and then may take its time.
func TestStreamMayPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rounds = 10
		resp, _ := overHTTP2(t, 100, func(w http.ResponseWriter, r *http.Request) {
			for range rounds {
				_, _ = w.Write(make([]byte, 1000))
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Hour)
			}
		})
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); n != rounds*1000 || err != nil {
			t.Errorf("got %d bytes, %v, want %d", n, err, rounds*1000)
		}
	})
}
