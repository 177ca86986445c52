package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	// idleLifetime is how long an idle connection is kept. It is below the keep-alive of common servers (5 s in Node), so
	// that requests rarely meet a connection that the upstream is just closing.
	idleLifetime = 4 * time.Second
	maxIdle      = 256
)

// errNotSent says that not a byte of the request left: the upstream cannot have run it.
var errNotSent = errors.New("the request was not sent")

// An upstream is the one server behind the proxy, spoken to in HTTP/1.1, one request at a time on a connection. It never
// sends a request twice: net/http's Transport does, for requests with an Idempotency-Key that have no body.
type upstream struct {
	address string
	tls     *tls.Config // nil: plain
	dialer  net.Dialer

	mu     sync.Mutex
	idle   []*conn // the most recently used last
	closed bool
}

func newUpstream(u *url.URL, roots *tls.Config) *upstream {
	up := &upstream{address: u.Host, dialer: net.Dialer{Timeout: dialTimeout}}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
		up.tls = roots.Clone()
		if up.tls == nil {
			up.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		up.tls.NextProtos = []string{"http/1.1"}
		if up.tls.ServerName == "" {
			up.tls.ServerName = u.Hostname()
		}
	}
	if u.Port() == "" {
		up.address = net.JoinHostPort(u.Hostname(), port)
	}
	return up
}

// send sends the request on an idle connection or a new one, and returns the connection to read the answer from, which may come
// before all is sent. An error wraps errNotSent: not a byte left. Otherwise the upstream may have run the request.
func (u *upstream) send(ctx context.Context, message []byte) (*conn, error) {
	for {
		c, err := u.connect(ctx)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotSent, err)
		}
		if err = c.send(ctx, message); err == nil {
			return c, nil
		}
		_ = c.Close()
		if !c.reused || ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", errNotSent, err)
		}
		// It died while idle, before the first byte: another one may take the request.
	}
}

func (u *upstream) connect(ctx context.Context) (*conn, error) {
	for c := u.takeIdle(); c != nil; c = u.takeIdle() {
		if time.Since(c.idleSince) < idleLifetime && c.alive() {
			c.reused = true
			return c, nil
		}
		_ = c.Close()
	}
	raw, err := u.dialer.DialContext(ctx, "tcp", u.address)
	if err != nil {
		return nil, err
	}
	if u.tls == nil {
		return newConn(raw, raw), nil
	}
	secure := tls.Client(raw, u.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return newConn(secure, raw), nil
}

func (u *upstream) takeIdle() *conn {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.idle) == 0 {
		return nil
	}
	c := u.idle[len(u.idle)-1]
	u.idle = u.idle[:len(u.idle)-1]
	return c
}

// keep takes back a connection whose answer was read to its end, and closes those that nobody has used for too long: the last
// one is taken first, so that after a burst the others stay.
func (u *upstream) keep(c *conn) {
	c.idleSince = time.Now()
	u.mu.Lock()
	n := 0
	for n < len(u.idle) && c.idleSince.Sub(u.idle[n].idleSince) >= idleLifetime {
		n++
	}
	spare := slices.Clone(u.idle[:n])
	u.idle = slices.Delete(u.idle, 0, n)
	if u.closed || len(u.idle) >= maxIdle {
		spare = append(spare, c)
	} else {
		u.idle = append(u.idle, c)
	}
	u.mu.Unlock()
	for _, c := range spare {
		_ = c.Close()
	}
}

func (u *upstream) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for _, c := range u.idle {
		_ = c.Close()
	}
	u.idle = nil
}
