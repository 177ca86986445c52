package redisstore

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/rueidis"
)

// dial returns a store that is connected, and has not looked at anything yet.
func dial(ctx context.Context, url string, cfg Config) (*Store, error) {
	t, err := parse(url, &cfg)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, target: t, names: newNames(cfg.Prefix), log: cfg.Logger, poke: make(chan struct{}, 1)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.client, err = connect(ctx, t); err != nil {
		return nil, fmt.Errorf("opening %s: %w", t, s.describe(err))
	}
	return s, nil
}

// connect connects to the target, unless ctx ends before.
func connect(ctx context.Context, t *target) (rueidis.Client, error) {
	type result struct {
		client rueidis.Client
		err    error
	}
	done := make(chan result)
	go func() { // ends when the dialer has given up
		c, err := t.connect()
		select {
		case done <- result{c, err}:
		case <-ctx.Done():
			if err == nil {
				c.Close()
			}
		}
	}()
	select {
	case r := <-done:
		return r.client, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// How soon a server that does not answer is given up.
const (
	dialTimeout  = time.Second
	replyTimeout = 2 * time.Second
)

// connect connects. The client sends nothing again by itself but what the server says that it has not done.
func (t *target) connect() (rueidis.Client, error) {
	o := rueidis.ClientOption{
		InitAddress: t.addresses, Username: t.user, Password: t.password, SelectDB: t.db, TLSConfig: t.tls,
		ClientName: "refrain", ClientSetInfo: rueidis.DisableClientSetInfo,
		DisableCache: true, DisableRetry: true, ForceSingleClient: t.kind == single,
		ConnWriteTimeout: replyTimeout,
		// Each connection has two buffers of this size. Longer values go past them.
		ReadBufferEachConn: 64 << 10, WriteBufferEachConn: 64 << 10,
		BlockingPoolCleanup: time.Minute,
	}
	o.Dialer.Timeout = dialTimeout
	switch t.kind {
	case sentinel:
		o.Sentinel = rueidis.SentinelOption{
			MasterSet: t.master, Username: t.sentinelUser, Password: t.sentinelPassword, TLSConfig: t.tls, Dialer: o.Dialer,
			TopologyRefreshInterval: 2 * time.Second, // else one missed message binds the client to the old master
		}
	case cluster:
		o.ClusterOption.ShardsRefreshInterval = 5 * time.Second
		o.ClusterOption.MaxMovedRedirections = 16
	case single:
	}
	c, err := rueidis.NewClient(o)
	if err != nil {
		if c != nil {
			c.Close()
		}
		return nil, err
	}
	if t.kind == cluster && c.Mode() != rueidis.ClientModeCluster {
		c.Close()
		return nil, fmt.Errorf("%w: it is in no cluster: its URL begins with redis://", ErrUnfit)
	}
	return c, nil
}
