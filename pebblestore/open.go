package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"

	"github.com/refrain-dev/refrain"
)

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
	go s.committer.syncer()
	go func() {
		defer close(s.idle)
		s.committer.answerer()
	}()
	s.ended.Go(s.tend)
	s.ended.Go(s.fillFilters)
	return nil
}

// lockDir keeps other processes out.
func (s *Store) lockDir() (io.Closer, error) {
	lock, err := s.disk.FS.Lock(s.disk.PathJoin(s.dir, lockName))
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("it is in use by another process; end that one, or use another directory: %w", err)
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
		return s.fault.cause
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
	if err := s.loadGenerations(); err != nil {
		return fmt.Errorf("reading the generations: %w", err)
	}
	epoch++
	if err := s.db.Set(epochKey, encodeEpoch(epoch), pebble.Sync); err != nil {
		return fmt.Errorf("beginning an epoch: %w", err)
	}
	s.committer = newCommitter(s, epoch)
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
		id := refrain.ID(it.Key()[1+numberSize:])
		value, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(err, it.Close())
		}
		r, err := refrain.DecodeRecord(id, value)
		if err != nil {
			s.log.Error("record is unreadable, its operation counts as unknown", "op", id, "err", err)
			r = refrain.Unreadable()
		}
		s.live.put(id, stored{Record: r, running: true})
	}
	return errors.Join(it.Error(), it.Close())
}

func (s *Store) loadGenerations() error {
	heads, err := s.generationsOf(prefixHead, headKeySize)
	if err != nil {
		return err
	}
	for _, g := range heads {
		s.heads.add(g, newFilter(&s.filterBytes)) // which fillFilters fills
	}
	outcomes, err := s.generationsOf(prefixOutcome, outcomeKeySize)
	for _, g := range outcomes {
		s.outcomes.add(g, nil)
	}
	return err
}

// generationsOf finds the generations that there are by going from the first key of one to the first key of the next.
func (s *Store) generationsOf(prefix byte, keySize int) (all []generation, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return nil, err
	}
	for it.First(); it.Valid(); {
		if len(it.Key()) != keySize {
			return nil, errors.Join(fmt.Errorf("%w: a key has %d bytes", refrain.ErrUnreadable, len(it.Key())), it.Close())
		}
		g := decodeGeneration(it.Key()[1:])
		all = append(all, g)
		_, end := rangeOf(prefix, g)
		it.SeekGE(end)
	}
	return all, errors.Join(it.Error(), it.Close())
}
