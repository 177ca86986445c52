// Package sqlitestore is an idempotency store in a SQLite file: one file, for one process or several on the same machine. It
// suits small sites, and applications that keep their own tables in SQLite: what such an application does and that it was done
// can be one transaction.
//
// Its tier is strict: what it has acknowledged survives the loss of power. The file is in WAL mode and every commit is synced
// before anyone can see it. Concurrent claims and settlements of one process share a commit.
//
// # In the application's own transaction
//
// [Store.SettleTx] takes a *[sql.Tx] on the same file, and with it Attempt.FinishTx. The transaction's connection must have
// synchronous=FULL, which is the default, and should begin its transactions with the write lock, for a transaction that first
// reads and then writes fails when somebody else has written in between:
//
//	db, err := sql.Open("sqlite", "file:app.db?_txlock=immediate&_pragma=busy_timeout(5000)")
//	store, err := sqlitestore.New(ctx, db, sqlitestore.Config{})
//
// SQLite has one write lock for the whole file. While a transaction of the application's holds it, whatever writes to the store
// waits, as long as its caller does: new claims, endings and renewals of other operations. Replays, duplicates of what runs, and
// lists do not. So a transaction should hold the lock for milliseconds, never across a call to another service, and never while
// its own handler waits for another operation.
package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/machine"
)

// Config configures a Store. The zero Config works.
type Config struct {
	// Logger gets a line for whatever needs an operator's eye. If nil, nothing is logged.
	Logger *slog.Logger

	machine func() time.Time // the machine's clock
}

// A Store keeps records in a SQLite file. It may be used concurrently, also by several processes.
type Store struct {
	path string
	log  *slog.Logger

	write, read *sql.DB
	find        *sql.Stmt
	anchor      *sql.Conn // serves no call, so that nothing ends it: SQLite removes its log with the last connection
	application *sql.DB   // the pool that New was given
	secret      []byte
	files       files

	clock machine.Clock
	queue queue
	fault fault

	stop chan struct{}
	idle chan struct{} // closed when the writer has ended
	once sync.Once
}

var (
	_ refrain.Store     = (*Store)(nil)
	_ refrain.Tiered    = (*Store)(nil)
	_ refrain.Lister    = (*Store)(nil)
	_ refrain.Auditor   = (*Store)(nil)
	_ refrain.TxSettler = (*Store)(nil)
)

// Open opens the store in the file, which is made, for its owner only, if it is not there. The file may hold tables of others;
// the store's own begin with refrain_. It is put into WAL mode. The error is a refrain.ErrUnavailable when others hold the file
// until ctx ends, and ErrSchema when its tables are of a later version.
func Open(ctx context.Context, file string, cfg Config) (*Store, error) {
	s, err := open(ctx, file, cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the store in %s: %w", file, err)
	}
	return s, nil
}

// New opens the store in the file of the application's database. It uses connections of its own, so that it does not take any
// from the pool, and Close leaves db open. The errors are those of Open, and there is one for a database in memory, and for one
// that was opened with another SQLite than modernc.org/sqlite: two of them in one process undo each other's locks.
func New(ctx context.Context, db *sql.DB, cfg Config) (*Store, error) {
	file, err := fileOf(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("opening the store in the application's database: %w", err)
	}
	s, err := Open(ctx, file, cfg)
	if err != nil {
		return nil, err
	}
	s.application = db
	return s, nil
}

func open(ctx context.Context, file string, cfg Config) (_ *Store, err error) {
	s := &Store{
		path: file, log: cfg.Logger, clock: machine.Clock{Machine: cfg.machine}, queue: newQueue(),
		stop: make(chan struct{}), idle: make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.path, err = filepath.Abs(file); err != nil { // so that the same file has one name, whatever the working directory
		return nil, err
	}
	if err := s.connect(ctx); err != nil {
		return nil, errors.Join(err, s.disconnect())
	}
	go newWriter(s).run()
	return s, nil
}

// connect opens both pools and sees to it that the tables are there.
func (s *Store) connect(ctx context.Context) (err error) {
	if err := makeFile(s.path); err != nil {
		return err
	}
	if s.write, err = pool(s.path, 1, false); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if s.read, err = pool(s.path, readers+1, true); err != nil {
		return err
	}
	if err := s.hold(ctx); err != nil {
		return err
	}
	if s.files, err = openFiles(s.path); err != nil {
		return err
	}
	s.find, err = s.read.PrepareContext(ctx, findQuery)
	return err
}

// hold opens the anchor. Its first read opens the log.
func (s *Store) hold(ctx context.Context) (err error) {
	if s.anchor, err = s.read.Conn(ctx); err != nil {
		return err
	}
	return patiently(ctx, func() error {
		var version int
		return s.anchor.QueryRowContext(ctx, "SELECT version FROM refrain_store").Scan(&version)
	})
}

// makeFile makes the file, if it is not there, for its owner only; SQLite's other files follow it. A file that is there is not
// opened here: to close it again would end the locks that this process has on it.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, os.ErrExist):
		return nil
	case err != nil:
		return err
	}
	return f.Close()
}

func (s *Store) disconnect() error {
	var errs []error
	if s.find != nil {
		errs = append(errs, s.find.Close())
	}
	if s.anchor != nil {
		errs = append(errs, s.anchor.Close())
	}
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Tier returns refrain.TierStrict.
func (s *Store) Tier() refrain.Tier { return refrain.TierStrict }

// Secret returns 32 random bytes that were made with the store: all processes on the file have the same.
func (s *Store) Secret(context.Context) ([]byte, error) { return append([]byte(nil), s.secret...), nil }

// Err returns nil, refrain.ErrClosed, or the fault after which the store must be opened anew: an ErrReplaced.
func (s *Store) Err() error {
	select {
	case <-s.stop:
		return refrain.ErrClosed
	default:
		return s.fault.get()
	}
}

// Close ends the calls under way and releases the file.
func (s *Store) Close() error {
	var err error
	s.once.Do(func() {
		close(s.stop)
		<-s.idle
		if err = s.disconnect(); err != nil {
			err = fmt.Errorf("closing the store in %s: %w", s.path, err)
		}
	})
	return err
}
