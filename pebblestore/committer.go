package pebblestore

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/refrain-dev/refrain"
)

// A committer makes changes durable, many with one sync. Callers put their requests into the open group, each decided on what
// is durable and what was decided before it. One goroutine, the syncer, takes the open group as soon as it is done with the
// last one and commits it; another, the answerer, then shows its changes and answers. So while a group is being synced the next
// one is gathered and decided already. It may build on the first, because it is committed after it.
type committer struct {
	store *Store

	mu     sync.Mutex // guards what follows, and the open group
	last   uint64     // number handed out, a fence or an outcome's; the epoch is its upper half
	open   *group
	flying *group // is being synced, if not nil
	free   []*group
	closed error // why nothing is taken any more
	key    []byte
	value  []byte

	wake   chan struct{} // of one slot: the open group has something, or nothing more will come
	synced chan *group   // from the syncer to the answerer
}

func newCommitter(s *Store, epoch uint64) *committer {
	return &committer{
		store: s, last: epoch << 32, open: s.newGroup().begin(),
		wake: make(chan struct{}, 1), synced: make(chan *group, 1),
	}
}

// take decides the request in the open group. If it cannot, because the caller saw what no longer holds, it reports false, and
// returns what the caller must wait for before it looks again, or nil.
func (c *committer) take(r *request) (taken bool, wait <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed != nil:
		return false, nil, c.closed
	case c.open.full():
		return false, c.open.handed, nil
	}
	taken, written, wait := c.decide(r)
	if !taken {
		return false, wait, nil
	}
	c.open.add(r)
	if r.changed = written; written {
		c.write(r)
	}
	if len(c.open.requests) == 1 {
		c.signal()
	}
	return true, nil, nil
}

func (c *committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// decide applies the request to the newest state of its record. The record's shard is locked, so that nobody renews it
// meanwhile. A group changes a record at most once: a second change waits for the first to be over.
func (c *committer) decide(r *request) (taken, written bool, wait <-chan struct{}) {
	r.group, r.late = c.open, c.open.late // whoever sees the change may wait for the group
	sh := c.store.live.shard(&r.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.records[r.id]
	switch {
	case e == nil && (!r.seen.onDisk || sh.versions[r.id[1]] != r.seen.version):
		return false, false, nil
	case e == nil:
		e = &liveRecord{stored: r.seen.stored}
	}
	r.old, r.at = e.stored, c.store.clock.Now()
	if e.pending != nil {
		r.old = e.pending.new
	}
	r.new = stored{}
	r.new.Record, written = r.apply(&r.old.Record, r.at, c.next())
	if !written {
		return true, false, nil
	}
	if e.pending != nil && e.pending.group == c.open {
		return false, false, c.open.finished
	}
	sh.begin(e, r)
	return true, true, nil
}

// next returns a number greater than all before, also those before a crash: a new epoch is durable with the first use of it.
func (c *committer) next() uint64 {
	c.last++
	if uint32(c.last) == 0 {
		_ = c.open.running.Set(epochKey, encodeEpoch(c.last>>32), nil) // a batch in memory cannot fail
	}
	return c.last
}

// write puts the request's change into the batch: it takes away what the disk has of the record and adds what is new.
func (c *committer) write(r *request) {
	c.erase(r)
	switch r.new.State {
	case refrain.StateRunning:
		r.new.running = true
		c.key = appendRunningKey(c.key[:0], r.new.Fence, r.id)
		c.value = refrain.AppendRecord(c.value[:0], r.id, r.new.Record)
		_ = c.open.running.Set(c.key, c.value, nil)
	case refrain.StateUnknown:
		c.writeEnded(r, eternal, eternal)
	case refrain.StateDone:
		c.writeEnded(r, generationOf(r.at, r.new.Forget.Sub(r.at)), generationOf(r.at, r.new.Retain.Sub(r.at)))
	}
}

// erase takes away what the disk has of the record. A tombstone's outcome is left to the sweeper; one that is forgotten early
// would lie there for as long as it was to be replayed.
func (c *committer) erase(r *request) {
	old := &r.old
	if old.running {
		c.key = appendRunningKey(c.key[:0], old.Fence, r.id)
		// The key was set once, so that both can vanish together at the next flush.
		_ = c.open.running.SingleDelete(c.key, nil)
	}
	if old.head != (generation{}) {
		c.key = appendHeadKey(c.key[:0], old.head, r.id)
		_ = c.open.heads.Delete(c.key, nil)
	}
	if old.outcome.generation == eternal || old.outcome != (place{}) && r.at.Before(old.Retain) {
		c.key = appendOutcomeKey(c.key[:0], old.outcome)
		_ = c.open.outcomes.Delete(c.key, nil)
	}
}

// writeEnded puts the head and the outcome into their generations.
func (c *committer) writeEnded(r *request, head, outcome generation) {
	r.new.head = head
	c.store.headsOf(head).add(&r.id)
	if r.new.Outcome != nil {
		c.store.outcomesOf(outcome)
		r.new.outcome = place{outcome, c.next()}
		c.key = appendOutcomeKey(c.key[:0], r.new.outcome)
		c.value = refrain.AppendRecord(c.value[:0], r.id, r.new.Record)
		_ = c.open.outcomes.Set(c.key, c.value, nil)
	}
	c.key = appendHeadKey(c.key[:0], head, r.id)
	c.value = appendHead(c.value[:0], r.id, r.new.Record, r.new.outcome)
	_ = c.open.heads.Set(c.key, c.value, nil)
}

// sweep drops the generations in which nothing lives any more: one range each, whatever it holds.
func (c *committer) sweep(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	swept := [2][]held{c.store.heads.over(now), c.store.outcomes.over(now)}
	if c.closed != nil || len(swept[0])+len(swept[1]) == 0 {
		return
	}
	for i, prefix := range []byte{prefixHead, prefixOutcome} {
		for _, g := range swept[i] {
			start, end := rangeOf(prefix, g.generation)
			_ = c.open.running.DeleteRange(start, end, nil)
		}
	}
	c.open.swept = swept
	c.signal()
}

// close refuses further requests, now that there is a reason, and lets the goroutines end.
func (c *committer) close(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed == nil {
		c.closed = why
		c.signal()
	}
}

// syncer commits one group after the other.
func (c *committer) syncer() {
	defer close(c.synced)
	for range c.wake {
		for {
			gather()
			g, more := c.handOver()
			if !more {
				return
			}
			if g == nil {
				break
			}
			g.err = c.store.sync(g.batch())
			c.synced <- g
		}
	}
}

// gather lets whoever is about to ask join the open group: those who can run do so first. Each sync then serves about twice
// as many. The second turn is for those whom the first has woken; when nobody can run, neither takes any time.
func gather() {
	runtime.Gosched()
	runtime.Gosched()
}

// handOver takes the open group, if there is anything in it, and opens the next. It reports whether there will be more.
func (c *committer) handOver() (g *group, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.store.fault.Err() != nil {
		return nil, false // what is open is abandoned
	}
	if len(c.open.requests) == 0 && c.open.running.Empty() {
		return nil, c.closed == nil
	}
	g = c.open
	c.flying = g
	close(g.handed)
	if last := len(c.free) - 1; last >= 0 {
		c.open, c.free = c.free[last].begin(), c.free[:last]
	} else {
		c.open = c.store.newGroup().begin()
	}
	return g, true
}

// answerer shows and answers the groups in their order, until the syncer ends or there is a fault.
func (c *committer) answerer() {
	for {
		select {
		case g, more := <-c.synced:
			if more {
				c.finish(g)
				continue
			}
			if err := c.store.fault.Err(); err != nil { // which the syncer has seen first
				c.abandon(err)
			}
			return
		case <-c.store.fault.dead:
			c.abandon(c.store.fault.err)
			return
		}
	}
}

// finish ends a group. If it was committed, everyone sees its changes from now on.
func (c *committer) finish(g *group) {
	if g.err == nil {
		c.show(g)
	}
	g.answer(g.err)
	g.reset()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flying == g {
		c.flying = nil
	}
	c.free = append(c.free, g)
}

func (c *committer) show(g *group) {
	for _, r := range g.requests {
		if r.changed {
			c.store.live.end(r)
		}
	}
	if len(g.swept[0])+len(g.swept[1]) > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.store.heads.drop(g.swept[0])
		c.store.outcomes.drop(g.swept[1])
	}
}

// abandon answers everyone after a fault. Nobody can tell what of the group that was being synced is on the disk, nor whether
// Pebble still holds its batch.
func (c *committer) abandon(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = err
	select {
	case g := <-c.synced:
		if g != nil && g != c.flying {
			g.answer(err)
		}
	default:
	}
	if c.flying != nil {
		c.flying.answer(err)
	}
	close(c.open.handed)
	c.open.answer(err)
}

// sync makes the batch durable. Any failure is a fault of the store: nobody can tell what of the batch is on the disk. Pebble
// answers a failed commit with nil after it has told its logger, or with a panic.
func (s *Store) sync(b *pebble.Batch) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.fault.fail(fmt.Errorf("committing: %v", p))
		}
	}()
	if b.Empty() {
		return s.fault.Err()
	}
	if err := s.db.Apply(b, pebble.Sync); err != nil {
		return s.fault.fail(fmt.Errorf("committing: %w", err))
	}
	return s.fault.Err()
}
