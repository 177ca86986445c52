package refrain

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// A recall keeps recorded outcomes in memory. They are durable and never change, so a replay need not ask the store. It is
// bounded in bytes, and what was not asked for the longest time goes first.
type recall struct {
	epoch  time.Time
	shards [16]recallShard
	limit  int // of each shard, in bytes

	// Of every key that is in, how many share its slot: a request whose slot is empty need not be looked at closely.
	seed  maphash.Seed
	slots []atomic.Int32
}

type recallShard struct {
	mu    sync.Mutex
	byID  map[ID]*recalled
	used  recalled // a ring, the most recently used next to it
	bytes int
}

// A recalled is a record as the store has it, and how to tell the store's time from this process's.
type recalled struct {
	prev, next *recalled
	id         ID
	slot       uint32
	record     Record
	stored     time.Time     // by the store's clock, when
	local      time.Duration // of this process since the epoch had passed
}

// recalledOverhead is what a recalled takes in memory besides its outcome, with its place in the map.
const recalledOverhead = 320

func newRecall(limit int) *recall {
	c := &recall{epoch: time.Now(), seed: maphash.MakeSeed()}
	if limit <= 0 {
		return c
	}
	c.limit = limit / len(c.shards)
	c.slots = make([]atomic.Int32, limit/16+1) // many times as many as there can be keys, so that most are empty
	for i := range c.shards {
		sh := &c.shards[i]
		sh.byID = make(map[ID]*recalled)
		sh.used.prev, sh.used.next = &sh.used, &sh.used
	}
	return c
}

// slot returns that of an operation's key, in whatever scope.
func (c *recall) slot(op *Operation) uint32 {
	switch {
	case len(c.slots) == 0:
		return 0
	case op.Key == "":
		return c.slotOf(maphash.Bytes(c.seed, op.KeyBytes))
	}
	return c.slotOf(maphash.String(c.seed, op.Key))
}

func (c *recall) slotOf(hash uint64) uint32 { return uint32(hash % uint64(len(c.slots))) }

// may reports false if nothing of that key is kept.
func (c *recall) may(key string) bool {
	return len(c.slots) > 0 && c.slots[c.slotOf(maphash.String(c.seed, key))].Load() > 0
}

func (c *recall) shard(id *ID) *recallShard { return &c.shards[id[0]%uint8(len(c.shards))] }

// keep takes the record that the store has of a key, as of its time now.
func (c *recall) keep(id ID, slot uint32, r *Record, now time.Time) {
	size := recalledOverhead + r.Outcome.Size()
	if r.State != StateDone || size > c.limit/8 {
		return
	}
	sh := c.shard(&id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if _, known := sh.byID[id]; known {
		return
	}
	e := &recalled{id: id, slot: slot, record: *r, stored: now, local: time.Since(c.epoch)}
	sh.byID[id] = e
	sh.front(e)
	sh.bytes += size
	c.slots[slot].Add(1)
	for sh.bytes > c.limit {
		c.drop(sh, sh.used.prev)
	}
}

// look returns the record as it stands now if it is kept and its outcome is still to be replayed, else an absent one.
func (c *recall) look(id *ID) (r Record, now time.Time) {
	sh := c.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.byID[*id]
	if e == nil {
		return Record{}, now
	}
	now = e.stored.Add(time.Since(c.epoch) - e.local)
	if e.record.At(now).State != StateDone {
		c.drop(sh, e)
		return Record{}, now
	}
	e.unlink()
	sh.front(e)
	return e.record, now
}

// forget drops the record of an operation, if it is kept.
func (c *recall) forget(id ID) {
	if c.limit == 0 {
		return
	}
	sh := c.shard(&id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if e := sh.byID[id]; e != nil {
		c.drop(sh, e)
	}
}

func (sh *recallShard) front(e *recalled) {
	e.prev, e.next = &sh.used, sh.used.next
	e.prev.next, e.next.prev = e, e
}

func (e *recalled) unlink() { e.prev.next, e.next.prev = e.next, e.prev }

func (c *recall) drop(sh *recallShard, e *recalled) {
	e.unlink()
	delete(sh.byID, e.id)
	sh.bytes -= recalledOverhead + e.record.Outcome.Size()
	c.slots[e.slot].Add(-1)
}
