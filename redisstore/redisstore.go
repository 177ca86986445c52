// Package redisstore is an idempotency store in Redis, alone, behind Sentinels or in a Cluster, for many processes at a time.
//
// Every transition is one script, which runs in the server, by the server's clock. Redis acknowledges a write before its
// replicas have it: a failover may lose claims, so that the store's promise is never more than [refrain.TierBestEffort] there.
// What is lost whole, by FLUSHALL or by an empty replica that takes over, is noticed, and nothing runs until an operator says
// so: see [LostError].
package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/refrain-dev/refrain"
)

// Config configures a Store. The zero Config works. The parameters of a URL beat it.
type Config struct {
	// Prefix is how the names of all keys begin. If empty, "refrain". In a URL: prefix=NAME.
	Prefix string
	// Identity is the one that the database must have: see Store.Identity. If empty, a database that has none, and no trace of
	// one, is given one; a database that was emptied while no process was there to notice cannot be told from a new one. In a
	// URL: identity=IDENTITY.
	Identity string
	// Wait is how many replicas must have confirmed a transition before anyone is told of it (WAIT). If fewer have within the
	// WaitTimeout, the call fails: it may have happened or not, and nobody runs. If zero, none. In a URL: wait=N.
	Wait int
	// WaitTimeout is how long the replicas are waited for. If zero, one second. In a URL: wait_timeout=DURATION.
	WaitTimeout time.Duration
	// WaitFsync waits until a transition is also on the disk of the master and of those replicas (WAITAOF, Redis 7.2 or Valkey).
	// In a URL: wait_fsync=true.
	WaitFsync bool
	// AuditEvery is how often the server's settings and the store's identity are looked at. If zero, every 10 seconds. In a
	// URL: audit_every=DURATION.
	AuditEvery time.Duration
	// TLS is for connections to rediss: URLs. If nil, the system's authorities are trusted.
	TLS *tls.Config
	// Logger gets a line for whatever needs an operator's eye. If nil, nothing is logged.
	Logger *slog.Logger
}

// A Store keeps records in Redis. It may be used concurrently.
type Store struct {
	cfg      Config
	target   *target
	client   rueidis.Client
	names    names
	log      *slog.Logger
	identity atomic.Pointer[identity]
	fault    atomic.Pointer[fault]
	tier     atomic.Pointer[refrain.Tier]

	watches  watches
	servers  map[string]bool // that hold records, by their run IDs, when the watch last looked
	changes  atomic.Int64    // of the servers
	under    atomic.Int64    // how many calls are
	troubled atomic.Bool     // the last call went wrong

	closed  atomic.Bool
	watched sync.WaitGroup // what runs for as long as the store is open
	stop    context.CancelFunc
	stopped <-chan struct{} // closed by stop
	poke    chan struct{}   // wakes the watch
}

var (
	_ refrain.Store   = (*Store)(nil)
	_ refrain.Tiered  = (*Store)(nil)
	_ refrain.Lister  = (*Store)(nil)
	_ refrain.Walker  = (*Store)(nil)
	_ refrain.Auditor = (*Store)(nil)
	_ refrain.Watcher = (*Store)(nil)
)

// Open connects to the Redis of the URL:
//
//	redis://[USER:PASSWORD@]HOST:PORT[/DB]
//	redis+sentinel://[USER:PASSWORD@]HOST:PORT,HOST:PORT/MASTER[/DB]
//	redis+cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT
//
// Each may begin with rediss, for TLS, and may end with parameters, such as ?wait=1&wait_timeout=500ms; see Config. Those of
// the Sentinels themselves are sentinel_user and sentinel_password.
//
// The error is a *[LostError] when the database is not the one that it should be, [ErrUnfit] when the server must not be used as
// it is, and otherwise a refrain.ErrUnavailable when it does not answer.
func Open(ctx context.Context, url string, cfg Config) (*Store, error) {
	s, err := dial(ctx, url, cfg)
	if err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		s.client.Close()
		return nil, fmt.Errorf("opening %s: %w", s.target, err)
	}
	watching, stop := context.WithCancel(context.Background())
	s.stop, s.stopped = stop, watching.Done()
	s.watched.Go(func() { s.watch(watching) })
	s.watched.Go(func() { s.listen(watching) })
	return s, nil
}

// begin looks at the server and finds or makes the identity.
func (s *Store) begin(ctx context.Context) error {
	nodes, err := s.inspect(ctx)
	if err != nil {
		return err
	}
	if err := s.judge(nodes); err != nil {
		return err
	}
	s.compare(nodes)
	id, err := s.findIdentity(ctx)
	if err != nil {
		return err
	}
	s.identity.Store(id)
	s.log.Info("store opened", "store", s.target, "identity", id.name, "tier", s.Tier())
	return nil
}

// Tier implements refrain.Tiered: what the server's settings, when they were last looked at, let the store promise.
// refrain.TierProcess is that of a single server that appends to a file, refrain.TierVolatile that of one that keeps nothing
// on disk and has no replica.
func (s *Store) Tier() refrain.Tier { return *s.tier.Load() }

// Identity names the database: it is made at random when the store is opened for the first time, and is no secret.
func (s *Store) Identity() string { return s.identity.Load().name }

// Secret returns 32 random bytes that were made with the store's identity, for refrain.Config.Secret: all processes on the
// store get the same.
func (s *Store) Secret(context.Context) ([]byte, error) {
	secret := s.identity.Load().secret
	return secret[:], nil
}

// Err says why the store must not go on, or nil: a *LostError, or a setting of the server that would lose records. It is nil
// again when the reason is gone.
func (s *Store) Err() error {
	if f := s.fault.Load(); f != nil {
		return f.err
	}
	return nil
}

// A fault is why the store refuses to go on.
type fault struct {
	err error
	all bool // no call may be made; else only those fail that the server refuses
}

// Close implements refrain.Store. It does not wait for calls that are left behind.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return refrain.ErrClosed
	}
	s.stop()
	s.client.Close()
	s.watched.Wait()
	return nil
}

// usable returns why no call may be made.
func (s *Store) usable() error {
	if s.closed.Load() {
		return refrain.ErrClosed
	}
	if f := s.fault.Load(); f != nil && f.all {
		return f.err
	}
	return nil
}

// describe says what went wrong with a call. What is not the store's own word means that it is unavailable.
func (s *Store) describe(err error) error {
	switch {
	case err == nil, errors.Is(err, refrain.ErrStale), errors.Is(err, refrain.ErrUnavailable):
		return err
	case s.closed.Load():
		return refrain.ErrClosed
	}
	return fmt.Errorf("%w: %w", refrain.ErrUnavailable, err)
}
