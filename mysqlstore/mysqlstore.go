// Package mysqlstore keeps operations in MariaDB or MySQL.
//
// The tables are made by [Migrate]; [Open] refuses a database whose schema is another. Every transition is decided by the
// server's clock and is one transaction there, at READ COMMITTED. The claims and finishes that a process makes at the same time
// share one transaction, and take one round trip.
//
// An operation that runs or is unknown is a row of one table, and one that is done is a row of another, which is partitioned by
// the time at which the operation is forgotten: what is over is dropped with its partition. Outcomes are in a third table, by
// the end of their retention.
//
// A [Store] is a [refrain.TxSettler]: a handler can record its outcome in its own transaction (see [Store.SettleTx]).
//
// It is tested with MariaDB 10.11. MySQL 8 should work, for the statements are those that both have, but that is not tested.
package mysqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/refrain-dev/refrain"
)

// A Config says how a Store works. The zero Config works.
type Config struct {
	// Connections is how many connections to the server the store may have, at least two. If zero, 16.
	Connections int
	// Timeout bounds what is sent to the server at once, however long its callers would wait. If zero, 10 seconds.
	Timeout time.Duration
	// Partition is the shortest time that a partition covers. Operations that are kept for longer get partitions that cover
	// between a quarter and half of that time, their outcomes such as cover half as much. If zero, 5 minutes.
	Partition time.Duration
	// Grace is how long what is over stays in the tables at least: longer than any statement takes. If zero, 10 minutes.
	Grace time.Duration
	// AllowGalera lets the store use a Galera cluster, whose nodes lose updates and read what is stale.
	AllowGalera bool
	// Logger gets what an operator should know. If nil, nothing is logged.
	Logger *slog.Logger
}

func (c *Config) setDefaults() {
	if c.Connections == 0 {
		c.Connections = 16
	}
	if c.Connections == 1 {
		c.Connections = 2 // whoever sweeps holds one, and needs another meanwhile
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Partition == 0 {
		c.Partition = 5 * time.Minute
	}
	if c.Grace == 0 {
		c.Grace = 10 * time.Minute
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// A Store is a refrain.Store in MariaDB or MySQL.
type Store struct {
	db       *sql.DB
	name     string // of the database
	identity string
	cfg      Config
	log      *slog.Logger

	clock    clock
	known    known
	parts    *partitions
	queue    *queue
	settings atomic.Pointer[settings]
	group    *sql.Stmt // callGroup

	life   context.Context //nolint:containedctx // it is the store's own, and ends what is under way when the store closes
	end    context.CancelFunc
	calls  sync.WaitGroup
	own    sync.WaitGroup // goroutines
	mu     sync.Mutex
	closed bool
}

var (
	_ refrain.Store     = (*Store)(nil)
	_ refrain.Tiered    = (*Store)(nil)
	_ refrain.Lister    = (*Store)(nil)
	_ refrain.Auditor   = (*Store)(nil)
	_ refrain.TxSettler = (*Store)(nil)
)

// Open opens the store that a URL names: mysql://user:password@host:port/database, with the driver's parameters, such as tls,
// as the query. A server on a socket of this machine is mysql://user@/database?socket=/run/mysqld/mysqld.sock.
//
// The error is ErrSchema when the database has another schema than this package needs.
func Open(ctx context.Context, url string, cfg Config) (*Store, error) {
	driver, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	return OpenConfig(ctx, driver, cfg)
}

// OpenConfig is Open for a configuration of the driver, of which it takes what the store does not need otherwise itself.
func OpenConfig(ctx context.Context, driver *mysql.Config, cfg Config) (*Store, error) {
	cfg.setDefaults()
	db, err := openDB(driver, &cfg)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, name: driver.DBName, cfg: cfg, log: cfg.Logger, queue: newQueue()}
	s.known.records = make(map[refrain.ID]refrain.Record)
	s.parts = newPartitions(s)
	s.life, s.end = context.WithCancel(context.Background())
	if err := s.prepare(ctx); err != nil {
		s.end()
		_ = db.Close()
		return nil, fmt.Errorf("opening the database %s: %w", driver.DBName, err)
	}
	s.own.Go(s.lane)
	for range spares {
		s.own.Go(s.spare)
	}
	s.own.Go(s.sweep)
	return s, nil
}

// prepare looks at what is there before anything is written.
func (s *Store) prepare(ctx context.Context) error {
	if err := checkSchema(ctx, s.db); err != nil {
		return err
	}
	set, err := readSettings(ctx, s.db)
	if err != nil {
		return err
	}
	if err := set.refuse(&s.cfg); err != nil {
		return err
	}
	s.settings.Store(set)
	s.queue.room = set.packet / 2
	if err := s.identify(ctx); err != nil {
		return err
	}
	if s.group, err = s.db.PrepareContext(ctx, callGroup); err != nil {
		return err
	}
	if err := s.commit(ctx, &group{}); err != nil && !errors.Is(err, errUnmoved) {
		return unavailable(err)
	}
	return s.parts.load(ctx)
}

// Close implements refrain.Store. What is under way gets a few seconds to end.
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	ended := time.AfterFunc(5*time.Second, s.end)
	s.calls.Wait()
	ended.Stop()
	s.end()
	s.own.Wait()
	return s.db.Close()
}

// enter lets a call in, unless the store is closed. Each that is let in must leave.
func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return refrain.ErrClosed
	}
	s.calls.Add(1)
	return nil
}

func (s *Store) leave() { s.calls.Done() }

// Tier implements refrain.Tiered, by what the last audit saw.
func (s *Store) Tier() refrain.Tier { return s.settings.Load().tier() }
