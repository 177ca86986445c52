// Package memstore is an idempotency store in memory: the reference model of the others, for tests and for single
// processes that can afford to forget at a restart.
package memstore

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/refrain-dev/refrain"
)

// Config configures a Store. The zero Config works.
type Config struct {
	// MaxBytes bounds the memory that records take, about. A full store refuses new claims with refrain.ErrFull: it never
	// forgets a record before its time. If zero, 64 MiB.
	MaxBytes int64
}

// A Store keeps records in memory. It may be used concurrently.
type Store struct {
	maxBytes int64
	epoch    time.Time
	bytes    atomic.Int64
	fence    atomic.Uint64
	closed   atomic.Bool
	shards   [64]shard
}

var (
	_ refrain.Store  = (*Store)(nil)
	_ refrain.Peeker = (*Store)(nil)
	_ refrain.Lister = (*Store)(nil)
	_ refrain.Tiered = (*Store)(nil)
)

// New returns an empty store.
func New(cfg Config) *Store {
	s := &Store{maxBytes: cfg.MaxBytes, epoch: time.Now()}
	if s.maxBytes == 0 {
		s.maxBytes = 64 << 20
	}
	for i := range s.shards {
		s.shards[i].records = make(map[refrain.ID]record)
	}
	return s
}

// Tier returns refrain.TierVolatile.
func (s *Store) Tier() refrain.Tier { return refrain.TierVolatile }

// Claim implements refrain.Store.
func (s *Store) Claim(_ context.Context, c refrain.Claim) (refrain.Decision, error) {
	if s.closed.Load() {
		return refrain.Decision{}, refrain.ErrClosed
	}
	sh := s.shard(&c.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := time.Now()
	s.bytes.Add(-sh.expire(now, now.Sub(s.epoch)))
	cur, known := sh.records[c.ID]
	if !known && s.bytes.Load() >= s.maxBytes {
		return refrain.Decision{}, refrain.ErrFull
	}
	d, written := c.Apply(cur.unpack(), now, s.fence.Add(1))
	if written {
		s.put(sh, &c.ID, &cur, &d.Record)
	}
	return d, nil
}

// Settle implements refrain.Store.
func (s *Store) Settle(_ context.Context, e refrain.Settlement) (refrain.Record, error) {
	if s.closed.Load() {
		return refrain.Record{}, refrain.ErrClosed
	}
	sh := s.shard(&e.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	cur := sh.records[e.ID]
	next, written, err := e.Apply(cur.unpack(), time.Now())
	if written {
		s.put(sh, &e.ID, &cur, &next)
	}
	return next, err
}

// Renew implements refrain.Store.
func (s *Store) Renew(_ context.Context, r refrain.Renewal) error {
	if s.closed.Load() {
		return refrain.ErrClosed
	}
	sh := s.shard(&r.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	cur := sh.records[r.ID]
	next, err := r.Apply(cur.unpack(), time.Now())
	if err == nil {
		s.put(sh, &r.ID, &cur, &next)
	}
	return err
}

// Get implements refrain.Store.
func (s *Store) Get(_ context.Context, id refrain.ID) (refrain.Record, error) {
	if s.closed.Load() {
		return refrain.Record{}, refrain.ErrClosed
	}
	r, _ := s.Peek(id)
	return r, nil
}

// Peek implements refrain.Peeker. A closed store knows nothing.
func (s *Store) Peek(id refrain.ID) (refrain.Record, time.Time) {
	if s.closed.Load() {
		return refrain.Record{}, time.Time{}
	}
	sh := s.shard(&id)
	sh.mu.Lock()
	r, known := sh.records[id]
	sh.mu.Unlock()
	if !known {
		return refrain.Record{}, time.Time{}
	}
	now := time.Now()
	return r.unpack().At(now), now
}

// Close implements refrain.Store.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

func (s *Store) shard(id *refrain.ID) *shard { return &s.shards[id[0]%uint8(len(s.shards))] }

// put replaces cur with next, or removes it if that is absent.
func (s *Store) put(sh *shard, id *refrain.ID, cur *record, next *refrain.Record) {
	r := pack(next)
	s.bytes.Add(r.size() - cur.size())
	if next.State == refrain.StateAbsent {
		delete(sh.records, *id)
		return
	}
	sh.records[*id] = r
	if next.State == refrain.StateDone {
		sh.agenda.push(due{at: next.Retain.Sub(s.epoch), id: *id})
	}
}

// A shard is a part of the records under one lock.
type shard struct {
	mu      sync.Mutex
	records map[refrain.ID]record
	agenda  agenda
}

// expire drops what is due, at most a few records a call so that no caller pays for many, and returns how much that freed.
// The time since the store's epoch is elapsed.
func (sh *shard) expire(now time.Time, elapsed time.Duration) (freed int64) {
	for range 8 {
		if len(sh.agenda) == 0 || elapsed < sh.agenda[0].at {
			break
		}
		d := sh.agenda.pop()
		old := sh.records[d.id]
		if old.state != refrain.StateDone && old.state != refrain.StateExpired {
			continue // the record it was made for is gone
		}
		whole := old.unpack().At(now)
		next := pack(&whole)
		freed += old.size() - next.size()
		switch next.state {
		case refrain.StateAbsent:
			delete(sh.records, d.id)
		case refrain.StateExpired:
			sh.records[d.id] = next
			sh.agenda.push(due{at: elapsed + whole.Forget.Sub(now), id: d.id})
		}
	}
	return freed
}
