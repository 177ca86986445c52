package pebblestore

import (
	"sync"
	"time"

	"github.com/refrain-dev/refrain"
)

// live holds the records that the disk alone cannot answer for: the running ones, whose newest lease is in memory only, and
// every record that is being changed, because Pebble shows a write before it is durable.
//
// Invariant: whenever Pebble may show something of a record that is not durable, live holds what is durable. So a reader
// looks here, then on the disk, then here again: what live holds wins, and what the disk said counts if live held nothing
// before and after, and no change of the record began in between, which the versions tell. Otherwise the disk may have
// been asked for one key before a change and for another after it, and the reader starts over.
type live struct {
	shards [shardCount]shard
}

const shardCount = 256

type shard struct {
	mu      sync.Mutex
	records map[refrain.ID]*liveRecord
	// versions count the changes that began, each for the records of one stripe. There are many more stripes than records
	// change during one commit.
	versions [256]uint32
}

type liveRecord struct {
	stored           // what is durable
	pending *request // the newest change that is not durable yet, if not nil
}

func newLive() *live {
	l := new(live)
	for i := range l.shards {
		l.shards[i].records = make(map[refrain.ID]*liveRecord)
	}
	return l
}

func (l *live) shard(id *refrain.ID) *shard { return &l.shards[id[0]] }

// look returns the durable record if it is held, and otherwise only the version of its stripe.
func (l *live) look(id refrain.ID) (seen sighting, held bool) {
	sh := l.shard(&id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if e := sh.records[id]; e != nil {
		return sighting{stored: e.stored, changing: e.pending != nil}, true
	}
	return sighting{version: sh.versions[id[1]]}, false
}

// put holds a running record.
func (l *live) put(id refrain.ID, running stored) {
	l.shard(&id).records[id] = &liveRecord{stored: running}
}

// begin holds the durable record that the request is going to change. It comes before anything is written. The shard is
// locked.
func (sh *shard) begin(e *liveRecord, r *request) {
	e.pending = r
	sh.versions[r.id[1]]++
	sh.records[r.id] = e
}

// end shows the request's change, which is durable now.
func (l *live) end(r *request) {
	sh := l.shard(&r.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.records[r.id]
	e.stored = r.new
	if e.pending != r {
		return // the next group changes it once more
	}
	e.pending = nil
	if !e.running {
		delete(sh.records, r.id)
	}
}

// renew applies the renewal, unless the record is being changed: then it returns what to wait for.
func (l *live) renew(r refrain.Renewal, now time.Time) (wait <-chan struct{}, err error) {
	sh := l.shard(&r.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.records[r.ID]
	switch {
	case e == nil:
		return nil, refrain.ErrStale // whatever runs is held
	case e.pending != nil:
		return e.pending.group.finished, nil
	}
	next, err := r.Apply(e.Record, now)
	if err == nil {
		e.Record = next
	}
	return nil, err
}
