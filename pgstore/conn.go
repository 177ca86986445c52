package pgstore

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/refrain-dev/refrain"
)

// poolConfig returns that of the store's connections: none keeps anything on the server from one transaction to the next, all go
// to a server that takes writes, and none ever asks the server to cancel.
func (s *Store) poolConfig(url string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = int32(s.cfg.Writers + s.cfg.Readers + 1)
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	cfg.ConnConfig.StatementCacheCapacity, cfg.ConnConfig.DescriptionCacheCapacity = 0, 0
	cfg.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	cfg.ConnConfig.OnNotice, cfg.ConnConfig.OnPgError = notice, goesOn
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	cfg.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		d := &dialer{sockets: s.socket}
		c.DialFunc = d.dial
		c.AfterConnect = d.connected
		return nil
	}
	return cfg, nil
}

// A dialer makes the socket of one connection, and no other: pgx dials once more to ask the server to cancel what a broken
// connection was waiting for. Of a commit that waits for a standby that would make a commit that no standby has.
type dialer struct {
	*sockets
	mu   sync.Mutex
	done bool
}

var errNoCancel = errors.New("nothing is cancelled")

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	done := d.done
	d.mu.Unlock()
	if done {
		return nil, errNoCancel
	}
	return d.sockets.dial(ctx, network, address)
}

func (d *dialer) connected(context.Context, *pgconn.PgConn) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = true
	return nil
}

// sockets are the open sockets of a store.
type sockets struct {
	mu  sync.Mutex
	all map[*socket]struct{}
}

type socket struct {
	net.Conn
	of *sockets
}

func newSockets() *sockets { return &sockets{all: make(map[*socket]struct{})} }

// unheard is how long a server may be out of reach, not how long it may take to answer.
const unheard = 10 * time.Second

func (s *sockets) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{
		Control:         limitUnheard,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: unheard / 2, Interval: unheard / 10, Count: 5},
	}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	k := &socket{c, s}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[k] = struct{}{}
	return k, nil
}

func (k *socket) Close() error {
	k.of.mu.Lock()
	delete(k.of.all, k)
	k.of.mu.Unlock()
	return k.Conn.Close()
}

// closeWhen waits, for five seconds at most, and then closes the sockets of whoever still waits for the server.
func (s *sockets) closeWhen(wait func()) {
	done := make(chan struct{})
	go func() {
		wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-time.After(5 * time.Second):
	}
	s.mu.Lock()
	for k := range s.all {
		_ = k.Conn.Close()
	}
	s.mu.Unlock()
	<-done
}

// reader returns a connection for something other than a transition.
func (s *Store) reader(ctx context.Context) (*pgx.Conn, func(), error) {
	if err := s.Err(); err != nil {
		return nil, nil, err
	}
	if s.closing.Err() != nil {
		return nil, nil, refrain.ErrClosed
	}
	select {
	case s.readers <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, unavailable(ctx.Err())
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		<-s.readers
		return nil, nil, s.fault(err)
	}
	return conn.Conn(), func() {
		conn.Release()
		<-s.readers
	}, nil
}

type warning struct{}

// notice marks a connection whose server warned of something: see errNotReplicated.
func notice(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.SeverityUnlocalized == "WARNING" && n.Code == "01000" {
		c.CustomData()[warningKey] = warning{}
	}
}

const warningKey = "refrain: warned"

// warned reports whether the server warned since it was asked last.
func warned(c *pgconn.PgConn) bool {
	_, ok := c.CustomData()[warningKey]
	delete(c.CustomData(), warningKey)
	return ok
}
