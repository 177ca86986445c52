package refrain

import (
	"container/list"
	"sync"
	"time"
)

// A recall keeps recorded outcomes in memory. They are durable and never change, so a replay need not ask the store. It is
// bounded in bytes, and what was not asked for the longest time goes first.
type recall struct {
	shards [16]recallShard
	limit  int // of each shard, in bytes
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
	record Record
	stored time.Time // by the store's clock, when
	local  time.Time // this process's monotonic clock showed that
}

func newRecall(limit int) *recall { return &recall{limit: limit / len(recall{}.shards)} }

func (c *recall) shard(id *ID) *recallShard { return &c.shards[id[0]%uint8(len(c.shards))] }

// keep takes a record that the store has, as of its time now.
func (c *recall) keep(id ID, r Record, now time.Time) {
	e := &recalled{id: id, record: r, stored: now, local: time.Now()}
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
	for sh.bytes > c.limit {
		sh.drop(sh.used.Back())
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
		sh.drop(at)
		return Record{}, now, false
	}
	sh.used.MoveToFront(at)
	return e.record, now, true
}

func (sh *recallShard) drop(at *list.Element) {
	e := sh.used.Remove(at).(*recalled)
	delete(sh.byID, e.id)
	sh.bytes -= e.size()
}

func (e *recalled) size() int { return 512 + e.record.Outcome.Size() }
