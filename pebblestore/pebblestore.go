// Package pebblestore is the embedded durable idempotency store, on Pebble: nothing to install, one directory, one process.
//
// Its tier is strict: what it has acknowledged survives the loss of power. Concurrent claims and settlements share one sync
// of the write-ahead log, and nothing is shown to anyone before it is durable.
package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/refrain-dev/refrain"
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

	clock           clock
	live            *live
	heads, outcomes generations
	requests        requests
	queue           *queue
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
		fault: newFault(), clock: clock{machine: cfg.machine}, live: newLive(), queue: newQueue(),
		stop: make(chan struct{}), idle: make(chan struct{}),
	}
	if s.minFree == 0 {
		s.minFree = 128 << 20
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.clock.machine == nil {
		s.clock.machine = time.Now
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

func (s *Store) open() (err error) {
	if err := s.disk.FS.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	s.lock, err = s.lockDir()
	if err != nil {
		return err
	}
	if err := s.recover(); err != nil {
		return errors.Join(err, s.lock.Close())
	}
	s.measure()
	go func() {
		defer close(s.idle)
		s.committer.run()
	}()
	s.ended.Go(s.tend)
	return nil
}

// lockDir keeps other processes out.
func (s *Store) lockDir() (io.Closer, error) {
	lock, err := s.disk.FS.Lock(s.disk.PathJoin(s.dir, lockName))
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("it is in use by another process: %w", err)
	}
	return lock, nil
}

// recover brings the database up and the running claims into memory, and starts a new epoch of fences.
func (s *Store) recover() error {
	if err := s.roomToRecover(); err != nil {
		return err
	}
	if err := s.breakSeal(); err != nil {
		return err
	}
	if err := s.openPebble(); err != nil {
		return err
	}
	err := s.load()
	if err != nil {
		err = errors.Join(err, s.db.Close())
	}
	return err
}

// openPebble opens the database. Pebble itself would try for ever on a full disk, and go on after a failed sync.
func (s *Store) openPebble() error {
	opened := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				opened <- fmt.Errorf("%v", p)
			}
		}()
		db, err := pebble.Open(s.dir, s.options())
		s.db = db
		opened <- err
	}()
	select {
	case err := <-opened:
		return errors.Join(err, s.fault.Err())
	case <-s.fault.dead:
		return s.fault.err
	case <-s.disk.full:
		_ = s.fault.fail(errors.New("the disk got full")) // the Pebble that waits for room is abandoned
		return fmt.Errorf("%w: the disk got full", refrain.ErrFull)
	}
}

// load reads what is kept in memory.
func (s *Store) load() error {
	epoch, err := s.loadEpoch()
	if err != nil {
		return fmt.Errorf("reading the epoch: %w", err)
	}
	if err := s.loadRunning(); err != nil {
		return fmt.Errorf("reading the running claims: %w", err)
	}
	for prefix, gs := range map[byte]*generations{prefixHead: &s.heads, prefixOutcome: &s.outcomes} {
		if err := s.loadGenerations(prefix, gs); err != nil {
			return fmt.Errorf("reading the generations: %w", err)
		}
	}
	epoch++
	if err := s.db.Set(epochKey, encodeEpoch(epoch), pebble.Sync); err != nil {
		return fmt.Errorf("beginning an epoch: %w", err)
	}
	s.committer = &committer{
		store: s, fence: epoch << 32, batch: s.db.NewBatch(), changes: make(map[refrain.ID]*change),
	}
	return s.fault.Err()
}

func (s *Store) loadEpoch() (epoch uint64, err error) {
	_, err = s.get(epochKey, func(value []byte) error {
		if len(value) != 8 {
			return fmt.Errorf("%w: it has %d bytes", refrain.ErrUnreadable, len(value))
		}
		epoch = binary.BigEndian.Uint64(value)
		return nil
	})
	return epoch, err
}

func encodeEpoch(epoch uint64) []byte { return binary.BigEndian.AppendUint64(nil, epoch) }

func (s *Store) loadRunning() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixRunning}, UpperBound: []byte{prefixRunning + 1}})
	if err != nil {
		return err
	}
	for it.First(); it.Valid(); it.Next() {
		if len(it.Key()) != runningKeySize {
			return errors.Join(fmt.Errorf("%w: a key has %d bytes", refrain.ErrUnreadable, len(it.Key())), it.Close())
		}
		id := refrain.ID(it.Key()[1:])
		value, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(err, it.Close())
		}
		r, err := refrain.DecodeRecord(id, value)
		if err != nil {
			s.log.Error("record is unreadable, its operation counts as unknown", "op", id, "err", err)
			r = refrain.Unreadable()
		}
		s.live.end(id, stored{Record: r, running: true})
	}
	return errors.Join(it.Error(), it.Close())
}

// loadGenerations finds the generations that there are by going from the first key of one to the first key of the next.
func (s *Store) loadGenerations(prefix byte, gs *generations) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return err
	}
	for it.First(); it.Valid(); {
		if len(it.Key()) != keySize {
			return errors.Join(fmt.Errorf("%w: a key has %d bytes", refrain.ErrUnreadable, len(it.Key())), it.Close())
		}
		g := decodeGeneration(it.Key()[1:])
		gs.add(g)
		_, end := rangeOf(prefix, g)
		it.SeekGE(end)
	}
	return errors.Join(it.Error(), it.Close())
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
	s.queue.close()
	s.ended.Wait()
	s.life.Lock()
	s.closed = true
	s.life.Unlock()
	select {
	case <-s.idle:
	case <-s.fault.dead:
	}
	err := s.fault.Err()
	if err == nil {
		err = s.closePebble()
	}
	return errors.Join(err, s.lock.Close())
}

func (s *Store) closePebble() error {
	if err := errors.Join(s.committer.batch.Close(), s.db.Close()); err != nil {
		return fmt.Errorf("closing the store in %s: %w", s.dir, err)
	}
	if err := s.seal(); err != nil {
		s.log.Warn("store is closed without a seal: damage done to its files from now on may go unnoticed", "err", err)
	}
	return nil
}
