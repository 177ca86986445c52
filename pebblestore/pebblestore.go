// Package pebblestore is the embedded durable idempotency store, on Pebble: nothing to install, one directory, one process.
//
// Its tier is strict: what it has acknowledged survives the loss of power. Concurrent claims and settlements share one sync
// of the write-ahead log, and nothing is shown to anyone before it is durable.
package pebblestore

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/machine"
)

// Config configures a Store. The zero Config works.
type Config struct {
	// MinFree is how many bytes must be free on the disk for new claims. Below it, claims are refused with refrain.ErrFull
	// and what is left is for the settlements of those that run. If zero, 128 MiB.
	MinFree int64
	// Logger gets a line for whatever needs an operator's eye. If nil, nothing is logged.
	Logger *slog.Logger
	// FS is the file system. If nil, the operating system's.
	FS vfs.FS

	machine func() time.Time      // the machine's clock
	tune    func(*pebble.Options) // of tests that need a small or a slow Pebble
}

// A Store keeps records in a directory. It may be used concurrently, by one process at a time.
type Store struct {
	dir     string
	minFree int64
	log     *slog.Logger
	tune    func(*pebble.Options)

	fault *fault
	disk  *disk
	lock  io.Closer
	db    *pebble.DB

	clock           machine.Clock
	live            *live
	heads, outcomes generations
	filterBytes     atomic.Int64
	requests        requests
	committer       *committer

	low    atomic.Bool // less than minFree is free
	life   sync.RWMutex
	closed bool // under life: nobody reads the database any more
	stop   chan struct{}
	ended  sync.WaitGroup // the goroutines but the committer's
	idle   chan struct{}  // closed when the committer has ended
	once   sync.Once
}

var (
	_ refrain.Store  = (*Store)(nil)
	_ refrain.Tiered = (*Store)(nil)
	_ refrain.Lister = (*Store)(nil)
)

// Open opens the store in the directory, which is made if it is not there. It fails when another process has it open, when
// its files were damaged, and, within a bounded time, when the disk is too full to recover what was written last: then with
// refrain.ErrFull.
func Open(dir string, cfg Config) (*Store, error) {
	s := newStore(dir, cfg)
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("opening the store in %s: %w", dir, err)
	}
	return s, nil
}

func newStore(dir string, cfg Config) *Store {
	s := &Store{
		dir: dir, minFree: cfg.MinFree, log: cfg.Logger, tune: cfg.tune,
		fault: newFault(), clock: machine.Clock{Machine: cfg.machine}, live: newLive(),
		stop: make(chan struct{}), idle: make(chan struct{}),
	}
	if s.minFree == 0 {
		s.minFree = 128 << 20
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	fs := cfg.FS
	if fs == nil {
		fs = vfs.Default
		if abs, err := filepath.Abs(dir); err == nil {
			s.dir = abs // so that the same directory has one name, whatever the working directory
		}
	}
	s.disk = newDisk(fs, s.fault)
	return s
}

// Tier returns refrain.TierStrict.
func (s *Store) Tier() refrain.Tier { return refrain.TierStrict }

// Err returns why new claims are refused: nil, refrain.ErrFull while there is no room, refrain.ErrClosed, or the fault after
// which the process must be restarted, which is a refrain.ErrUnavailable that is neither.
func (s *Store) Err() error {
	if err := s.usable(); err != nil {
		return err
	}
	return s.room()
}

// usable returns why the store cannot be used at all.
func (s *Store) usable() error {
	if err := s.fault.Err(); err != nil {
		return err
	}
	select {
	case <-s.stop:
		return refrain.ErrClosed
	default:
		return nil
	}
}

// Close ends the calls under way with refrain.ErrClosed and releases the directory. After a fault, which it returns, Pebble
// is abandoned as it is.
func (s *Store) Close() error {
	err := refrain.ErrClosed
	s.once.Do(func() { err = s.close() })
	if errors.Is(err, refrain.ErrClosed) {
		return nil
	}
	return err
}

func (s *Store) close() error {
	close(s.stop)
	close(s.disk.hurried)
	s.committer.close(refrain.ErrClosed)
	closed := make(chan error, 1)
	go func() {
		<-s.idle
		s.ended.Wait()
		s.life.Lock() // the last reader has gone
		s.closed = true
		s.life.Unlock()
		closed <- s.closePebble()
	}()
	var err error
	select {
	case err = <-closed:
	case <-s.fault.dead:
		err = s.fault.err
	}
	return errors.Join(err, s.lock.Close())
}

func (s *Store) closePebble() error {
	if err := errors.Join(s.fault.Err(), s.db.Close()); err != nil {
		return fmt.Errorf("closing the store in %s: %w", s.dir, err)
	}
	if err := s.seal(); err != nil {
		s.log.Warn("store is closed without a seal: damage done to its files from now on may go unnoticed", "err", err)
	}
	return nil
}
