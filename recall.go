package refrain

import (
	"container/list"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// A recall keeps recorded outcomes in memory. They are durable and never change, so a replay need not ask the store. It is
// bounded in bytes, and what was not asked for the longest time goes first.
type recall struct {
	shards [16]recallShard
	limit  int // of each shard, in bytes

	// Of every key that is in, how many share its slot: a request whose slot is empty need not be looked at closely.
	seed  maphash.Seed
	slots [1 << 14]atomic.Int32
}

type recallShard struct {
	mu    sync.Mutex
	byID  map[ID]*list.Element // of *recalled
	used  list.List            // the most recently used in front
	bytes int
}

// A recalled is a record as the store has it, and how to tell the store's time from this process's.
type recalled struct {
	id     ID
	slot   uint16
	record Record
	stored time.Time // by the store's clock, when
	local  time.Time // this process's monotonic clock showed that
}

func newRecall(limit int) *recall {
	return &recall{limit: limit / len(recall{}.shards), seed: maphash.MakeSeed()}
}

// slot returns that of a key, in whatever scope.
func (c *recall) slot(key string) uint16 {
	return uint16(maphash.String(c.seed, key) % uint64(len(c.slots)))
}

// may reports false if nothing of that key is kept.
func (c *recall) may(key string) bool { return c.slots[c.slot(key)].Load() > 0 }

func (c *recall) shard(id *ID) *recallShard { return &c.shards[id[0]%uint8(len(c.shards))] }

// keep takes the record that the store has of a key, as of its time now.
func (c *recall) keep(id ID, slot uint16, r Record, now time.Time) {
	e := &recalled{id: id, slot: slot, record: r, stored: now, local: time.Now()}
	if r.State != StateDone || e.size() > c.limit/8 {
		return
	}
	sh := c.shard(&id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if _, known := sh.byID[id]; known {
		return
	}
	if sh.byID == nil {
		sh.byID = make(map[ID]*list.Element)
	}
	sh.byID[id] = sh.used.PushFront(e)
	sh.bytes += e.size()
	c.slots[slot].Add(1)
	for sh.bytes > c.limit {
		c.drop(sh, sh.used.Back())
	}
}

// look returns the record as it stands now, if it is kept and its outcome is still to be replayed.
func (c *recall) look(id ID) (r Record, now time.Time, ok bool) {
	sh := c.shard(&id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	at, known := sh.byID[id]
	if !known {
		return Record{}, now, false
	}
	e := at.Value.(*recalled)
	now = e.stored.Add(time.Since(e.local))
	if e.record.At(now).State != StateDone {
		c.drop(sh, at)
		return Record{}, now, false
	}
	sh.used.MoveToFront(at)
	return e.record, now, true
}

func (c *recall) drop(sh *recallShard, at *list.Element) {
	e := sh.used.Remove(at).(*recalled)
	delete(sh.byID, e.id)
	sh.bytes -= e.size()
	c.slots[e.slot].Add(-1)
}

func (e *recalled) size() int { return 512 + e.record.Outcome.Size() }
