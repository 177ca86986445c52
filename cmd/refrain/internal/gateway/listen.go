package gateway

import (
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/proxy"
)

const (
	// maxConnections bounds the clients at one time; more wait in the system's queue.
	maxConnections    = 8192
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	maxStreams        = 250  // of one HTTP/2 connection
	maxRequests       = 8192 // of all HTTP/2 connections
)

// newServer returns the server for clients. It has no ReadTimeout and no WriteTimeout: see paced and pacedConn.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           admitted(paced(h), maxRequests),
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         protocols,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ConnState:         connState,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// admitted returns a handler that refuses requests of HTTP/2 which HTTP/1 could not say, and has at most limit of the others at
// one time; more wait, for as long as their clients do. A connection of HTTP/1 stays until its request has ended, and so bounds
// them. One of HTTP/2 can be gone at once, and the operations that it began run on.
func admitted(next http.Handler, limit int) http.Handler {
	slots := make(chan struct{}, limit)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 {
			if !isHTTP1(r) {
				http.Error(w, "400 Bad Request: there is a space in the method, the path or the authority", http.StatusBadRequest)
				return
			}
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
			case <-r.Context().Done():
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// isHTTP1 reports whether the head of a request can be said in HTTP/1, in which it goes on: a space ends the method there, and
// the target. The server refuses line breaks, and whatever else is no value of a header field.
func isHTTP1(r *http.Request) bool {
	for _, part := range [...]string{r.Method, r.RequestURI, r.Host} {
		if strings.ContainsAny(part, " \t") {
			return false
		}
	}
	return true
}

// connState tells a connection that another protocol takes it over.
func connState(c net.Conn, state http.ConnState) {
	if strict, ok := c.(*proxy.StrictConn); ok && state == http.StateHijacked {
		strict.Hijacked()
	}
}

// bounded returns the listener with connections that are bounded in number and paced.
func bounded(l net.Listener, limit int) net.Listener {
	return &limitListener{Listener: l, slots: make(chan struct{}, limit)}
}

// clients returns the listener for clients: refusing ambiguous framing, and answering from memory what can be.
func clients(l net.Listener, memory func() *proxy.Memory) net.Listener {
	return proxy.StrictListener(l, memory, idleTimeout)
}

// A limitListener accepts connections while there are slots.
type limitListener struct {
	net.Listener
	slots chan struct{}
}

func (l *limitListener) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &slotConn{Conn: pacedConn{c}, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

// A slotConn gives its slot back when it is closed.
type slotConn struct {
	net.Conn
	release func()
}

func (c *slotConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
