package demo

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// errLineDown is what dialling says while the line is down.
var errLineDown = errors.New("the line is down")

// A line is the clients' network: it can be cut, which breaks every connection at once.
type line struct {
	dialer net.Dialer

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]struct{}
}

// transport returns a transport over the line.
func (l *line) transport() *http.Transport {
	return &http.Transport{DialContext: l.dial, MaxIdleConnsPerHost: 256, DisableCompression: true}
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		_ = conn.Close()
		return nil, errLineDown
	}
	if l.conns == nil {
		l.conns = make(map[net.Conn]struct{})
	}
	c := &lineConn{Conn: conn, line: l}
	l.conns[c] = struct{}{}
	return c, nil
}

// cut breaks every connection, and keeps new ones from being made for the given time.
func (l *line) cut(ctx context.Context, d time.Duration) {
	l.mu.Lock()
	l.down = true
	broken := l.conns
	l.conns = nil
	l.mu.Unlock()
	for c := range broken {
		_ = c.Close()
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	l.mu.Lock()
	l.down = false
	l.mu.Unlock()
}

// A lineConn leaves the line when it is closed.
type lineConn struct {
	net.Conn
	line *line
}

// Close implements net.Conn.
func (c *lineConn) Close() error {
	c.line.mu.Lock()
	delete(c.line.conns, c)
	c.line.mu.Unlock()
	return c.Conn.Close()
}
