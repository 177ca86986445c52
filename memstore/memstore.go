// Package memstore is an idempotency store in memory: the reference model of the others, for tests and for single
// processes that can afford to forget at a restart.
package memstore

import (
	"container/heap"
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
	bytes    atomic.Int64
	fence    atomic.Uint64
	closed   atomic.Bool
	shards   [64]shard
}

var (
	_ refrain.Store  = (*Store)(nil)
	_ refrain.Tiered = (*Store)(nil)
)

// New returns an empty store.
func New(cfg Config) *Store {
	s := &Store{maxBytes: cfg.MaxBytes}
	if s.maxBytes == 0 {
		s.maxBytes = 64 << 20
	}
	for i := range s.shards {
		s.shards[i].records = make(map[refrain.ID]refrain.Record)
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
	sh := s.shard(c.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := time.Now()
	s.bytes.Add(-sh.expire(now))
	cur, known := sh.records[c.ID]
	if !known && s.bytes.Load() >= s.maxBytes {
		return refrain.Decision{}, refrain.ErrFull
	}
	d, written := c.Apply(cur, now, s.fence.Add(1))
	if written {
		s.bytes.Add(sh.put(c.ID, d.Record))
	}
	return d, nil
}

// Settle implements refrain.Store.
func (s *Store) Settle(_ context.Context, e refrain.Settlement) (refrain.Record, error) {
	if s.closed.Load() {
		return refrain.Record{}, refrain.ErrClosed
	}
	sh := s.shard(e.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	next, written, err := e.Apply(sh.records[e.ID], time.Now())
	if written {
		s.bytes.Add(sh.put(e.ID, next))
	}
	return next, err
}

// Renew implements refrain.Store.
func (s *Store) Renew(_ context.Context, r refrain.Renewal) error {
	if s.closed.Load() {
		return refrain.ErrClosed
	}
	sh := s.shard(r.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	next, err := r.Apply(sh.records[r.ID], time.Now())
	if err != nil {
		return err
	}
	sh.records[r.ID] = next
	return nil
}

// Get implements refrain.Store.
func (s *Store) Get(_ context.Context, id refrain.ID) (refrain.Record, error) {
	if s.closed.Load() {
		return refrain.Record{}, refrain.ErrClosed
	}
	sh := s.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.records[id].At(time.Now()), nil
}

// Close implements refrain.Store.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

func (s *Store) shard(id refrain.ID) *shard { return &s.shards[id[0]%uint8(len(s.shards))] }

// recordOverhead is about what a record costs besides its outcome: the map's entry and the agenda's.
const recordOverhead = 400

// A shard is a part of the records under one lock.
type shard struct {
	mu      sync.Mutex
	records map[refrain.ID]refrain.Record
	agenda  agenda
}

// put stores or, when it is absent, removes a record, and returns by how much the shard grew.
func (sh *shard) put(id refrain.ID, r refrain.Record) int64 {
	grown := -size(sh.records[id])
	if r.State == refrain.StateAbsent {
		delete(sh.records, id)
		return grown
	}
	sh.records[id] = r
	if r.State == refrain.StateDone {
		heap.Push(&sh.agenda, due{at: r.Retain, id: id})
	}
	return grown + size(r)
}

// expire drops what is due, at most a few records a call so that no caller pays for many, and returns how much that freed.
func (sh *shard) expire(now time.Time) (freed int64) {
	for range 8 {
		if len(sh.agenda) == 0 || now.Before(sh.agenda[0].at) {
			break
		}
		d := heap.Pop(&sh.agenda).(due)
		old := sh.records[d.id]
		if old.State != refrain.StateDone && old.State != refrain.StateExpired {
			continue // the record it was made for is gone
		}
		next := old.At(now)
		freed += size(old) - size(next)
		switch next.State {
		case refrain.StateAbsent:
			delete(sh.records, d.id)
		case refrain.StateExpired:
			sh.records[d.id] = next
			heap.Push(&sh.agenda, due{at: next.Forget, id: d.id})
		}
	}
	return freed
}

func size(r refrain.Record) int64 {
	if r.State == refrain.StateAbsent {
		return 0
	}
	return recordOverhead + int64(r.Outcome.Size())
}

// A due is the moment at which a record's state changes by itself.
type due struct {
	at time.Time
	id refrain.ID
}

// An agenda is a heap of dues, the earliest first.
type agenda []due

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(due)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	d := (*a)[last]
	*a = (*a)[:last]
	return d
}
