// Package pgstore keeps operations in PostgreSQL 13 or newer. Many processes can share one database.
//
// A transition is one call of a function in the database. The concurrent transitions of a process are made together, by one
// statement in one transaction of its own, so that they share a round trip and a flush of the log. They go to the primary only,
// also through PgBouncer in transaction mode: nothing is bound to a connection. The time is the database's.
//
// What is claimed is in one small table; what is done is in partitions by the time when it is forgotten, which are dropped as a
// whole. [Migrate] makes the tables and changes them from one version to the next.
//
// A Store is also a [refrain.TxSettler], for a transaction that is a pgx.Tx or, from the driver of package pgx/v5/stdlib or any
// other for PostgreSQL, an *sql.Tx, in the same database.
package pgstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/refrain-dev/refrain"
)

// A Config configures a Store. The zero Config works.
type Config struct {
	// Schema is the schema of the store's tables, lower-case letters, digits and underscores. Stores in two schemas have nothing to
	// do with each other. If empty, "refrain".
	Schema string
	// Writers is how many transactions the store makes at a time, each with all claims that wait, or all endings and renewals. If
	// zero, 2.
	Writers int
	// Readers is how many connections there are for everything else. If zero, 4.
	Readers int
	// Logger is told of what needs an operator's eye. If nil, nothing is logged.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Schema == "" {
		c.Schema = "refrain"
	}
	if c.Writers == 0 {
		c.Writers = 2
	}
	if c.Readers == 0 {
		c.Readers = 4
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// A Store is a refrain.Store in PostgreSQL.
type Store struct {
	cfg    Config
	pool   *pgxpool.Pool
	socket *sockets
	calls  calls
	name   [16]byte // of the store, wherever its database moves
	salt   uint64   // of its advisory locks

	settings atomic.Pointer[settings] // when they were last looked at
	lost     atomic.Pointer[error]    // why the store must not go on

	queue   *queue
	readers chan struct{} // one for each that reads
	buckets *buckets
	watches *watches
	closing context.Context
	close   context.CancelFunc
	all     sync.WaitGroup // goroutines
}

// Open opens the store that the URL names, postgres://user:password@host:port/database, with more hosts separated by commas: the
// one that takes writes is used. Its tables must be there, in the version that this package needs: see [Migrate].
//
// The errors are ErrUnavailable when the database does not answer, and [ErrSchema].
func Open(ctx context.Context, url string, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	s := &Store{
		cfg: cfg, socket: newSockets(), queue: newQueue(), calls: callsIn(cfg.Schema), readers: make(chan struct{}, cfg.Readers),
	}
	s.buckets, s.watches = newBuckets(s), newWatches(s)
	s.closing, s.close = context.WithCancel(context.Background())
	if err := s.connect(ctx, url); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	for range cfg.Writers {
		s.all.Go(s.write)
	}
	s.all.Go(s.buckets.keep)
	s.all.Go(s.watches.listen)
	s.all.Go(s.watches.speak)
	return s, nil
}

func (s *Store) connect(ctx context.Context, url string) error {
	cfg, err := s.poolConfig(url)
	if err != nil {
		return err
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return err
	}
	if err = s.identify(ctx); err == nil {
		_, err = s.Audit(ctx)
	}
	if err != nil {
		s.pool.Close()
	}
	return err
}

// identify checks the schema's version and learns the store's name.
func (s *Store) identify(ctx context.Context) error {
	if err := checkVersion(ctx, s.pool, s.cfg.Schema); err != nil {
		return err
	}
	err := s.pool.QueryRow(ctx, "SELECT name FROM "+s.in("identity"), pgx.QueryExecModeExec).Scan(&s.name)
	s.salt = binary.BigEndian.Uint64(s.name[:])
	return unavailable(err)
}

// in returns the full name of something in the store's schema.
func (s *Store) in(name string) string { return pgx.Identifier{s.cfg.Schema, name}.Sanitize() }

// Secret returns the store's own secret, 32 random bytes that were made with it: whatever process opens it keys its hashes alike.
func (s *Store) Secret(ctx context.Context) (secret []byte, err error) {
	err = s.pool.QueryRow(ctx, "SELECT secret FROM "+s.in("identity"), pgx.QueryExecModeExec).Scan(&secret)
	if err != nil {
		return nil, fmt.Errorf("reading the store's secret: %w", s.fault(err))
	}
	return secret, nil
}

// Tier returns how strong the promise is, by the database's settings when they were last looked at.
func (s *Store) Tier() refrain.Tier { return s.settings.Load().tier() }

// Err returns why the store cannot go on, or nil: its schema is another than it was.
func (s *Store) Err() error {
	if err := s.lost.Load(); err != nil {
		return *err
	}
	return nil
}

// Close implements refrain.Store. It waits for the transactions under way, for up to five seconds.
func (s *Store) Close() error {
	if s.closing.Err() != nil {
		return refrain.ErrClosed
	}
	s.close()
	s.queue.close(refrain.ErrClosed)
	s.socket.closeWhen(s.all.Wait)
	s.pool.Close()
	return nil
}

// errNonsense says that the database and this package disagree about what a transition does.
var errNonsense = errors.New("the database's answer makes no sense")
