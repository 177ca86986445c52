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
	epoch    time.Time // from which the store's clock counts, whatever becomes of the wall's
	bytes    atomic.Int64
	closed   atomic.Bool
	shards   [64]shard
}

var (
	_ refrain.Store  = (*Store)(nil)
	_ refrain.Peeker = (*Store)(nil)
	_ refrain.Lister = (*Store)(nil)
	_ refrain.Tiered = (*Store)(nil)

	_ refrain.TokenPeeker = (*Store)(nil)
)

// New returns an empty store.
func New(cfg Config) *Store {
	s := &Store{maxBytes: cfg.MaxBytes, epoch: time.Now()}
	if s.maxBytes == 0 {
		s.maxBytes = 64 << 20
	}
	for i := range s.shards {
		s.shards[i].records = make(map[refrain.ID]*record)
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
	now := s.now()
	s.expire(sh, now)
	cur := sh.records[c.ID]
	if cur == nil && s.bytes.Load() >= s.maxBytes {
		return refrain.Decision{}, refrain.ErrFull
	}
	sh.fence++
	d, written := c.Apply(cur.unpack(s.epoch), now, sh.fence)
	if written {
		s.put(sh, &c.ID, cur, &d.Record)
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
	next, written, err := e.Apply(cur.unpack(s.epoch), s.now())
	if written {
		s.put(sh, &e.ID, cur, &next)
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
	next, err := r.Apply(cur.unpack(s.epoch), s.now())
	if err == nil {
		s.put(sh, &r.ID, cur, &next)
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
	defer sh.mu.Unlock()
	cur := sh.records[id]
	if cur == nil {
		return refrain.Record{}, time.Time{}
	}
	now := s.now()
	return cur.unpack(s.epoch).At(now), now
}

// PeekToken implements refrain.TokenPeeker. A closed store knows nothing.
func (s *Store) PeekToken(id refrain.ID) (t refrain.Token) {
	if s.closed.Load() {
		return t
	}
	sh := s.shard(&id)
	sh.mu.Lock()
	if cur := sh.records[id]; cur != nil {
		t = cur.token
	}
	sh.mu.Unlock()
	return t
}

// Close implements refrain.Store.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

// now returns the time by the store's clock.
func (s *Store) now() time.Time { return s.epoch.Add(time.Since(s.epoch)) }

func (s *Store) shard(id *refrain.ID) *shard { return &s.shards[id[0]%uint8(len(s.shards))] }

// put makes next of cur, which is nil if there is none, and removes it if next is absent.
func (s *Store) put(sh *shard, id *refrain.ID, cur *record, next *refrain.Record) {
	was := cur.size()
	if _, ends := cur.due(); ends {
		defer sh.miss()
	}
	if next.State == refrain.StateAbsent {
		delete(sh.records, *id)
		s.bytes.Add(-was)
		return
	}
	if cur == nil {
		cur = &record{}
		sh.records[*id] = cur
	}
	*cur = pack(next, s.epoch)
	s.bytes.Add(cur.size() - was)
	if at, ends := cur.due(); ends {
		sh.agenda.push(due{at: at, id: *id})
	}
}

// A shard is a part of the records under one lock.
type shard struct {
	mu      sync.Mutex
	records map[refrain.ID]*record
	agenda  agenda // of what is done or expired
	missed  int    // dues in it whose records are not such any more
	fence   uint64 // the newest of its records
}

// few is how many dues may be missed before anything is done about it.
const few = 64

// miss notes that a due in the agenda has lost its record, which was forgotten early, and would stay there for as long as that
// was to be kept. When half of them are such, all of those are taken out.
func (sh *shard) miss() {
	sh.missed++
	if sh.missed <= max(few, len(sh.agenda)/2) {
		return
	}
	all := sh.agenda
	sh.agenda, sh.missed = all[:0], 0
	for _, d := range all {
		if sh.keeps(d) {
			sh.agenda.push(d)
		}
	}
}

// keeps reports whether a due is still that of its record.
func (sh *shard) keeps(d due) bool {
	at, ends := sh.records[d.id].due()
	return ends && at == d.at
}

// expire drops what is due in a shard, at most a few records a call so that no caller pays for many.
func (s *Store) expire(sh *shard, now time.Time) {
	for range 8 {
		if len(sh.agenda) == 0 || now.Sub(s.epoch) < sh.agenda[0].at {
			return
		}
		d := sh.agenda.pop()
		sh.missed-- // it is none of them in the agenda, or its record, which is put anew, misses it
		if sh.keeps(d) {
			cur := sh.records[d.id]
			next := cur.unpack(s.epoch).At(now)
			s.put(sh, &d.id, cur, &next)
		}
	}
}
