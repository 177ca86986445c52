package pebblestore

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/refrain-dev/refrain"
)

// The committer is the only one who writes. It gathers requests in a group, decides each of them on what is durable and what
// was decided before it, and commits the changes of the group with one sync. Only then does it show them and answer. While a
// group is being synced, the next one is gathered and decided; it is committed after it, so that it may build on it.
type committer struct {
	store *Store
	last  uint64 // number handed out, a fence or an outcome's; the epoch is its upper half

	open     *group     // gathers
	inFlight *group     // is being synced, if not nil
	free     []*group   // to be used again
	deferred []*request // that cannot be decided in the open group
	taken    []*request

	batches chan *pebble.Batch // to the syncer
	synced  chan error         // from the syncer

	key, value []byte // scratch
}

// A group is requests that are answered after one sync.
type group struct {
	requests []*request
	changed  []*request // those of them that change a record
	bytes    int
	batch    *pebble.Batch
	swept    [2][]held // heads and outcomes that it drops
}

func newCommitter(s *Store, epoch uint64) *committer {
	c := &committer{
		store: s, last: epoch << 32,
		batches: make(chan *pebble.Batch, 1), synced: make(chan error, 1),
	}
	for range 3 { // one open, one in flight, one being answered
		c.free = append(c.free, &group{batch: s.db.NewBatch()})
	}
	c.renew()
	return c
}

// run works until the queue is closed and everything in it is answered, or until a fault.
func (c *committer) run() {
	go c.syncer()
	defer close(c.batches)
	for {
		closed := c.gather()
		if c.inFlight == nil {
			c.advance(nil, nil)
		}
		if closed && c.inFlight == nil && len(c.deferred) == 0 {
			return
		}
		select {
		case <-c.store.queue.wake:
		case err := <-c.synced:
			synced := c.inFlight
			c.inFlight = nil
			c.advance(synced, err)
		case <-c.store.fault.dead:
			return // nobody waits for an answer any more
		}
	}
}

// gather takes what waits into the open group, as much as it has room for.
func (c *committer) gather() (closed bool) {
	c.taken, closed = c.store.queue.take(c.taken[:0], groupRequests-len(c.open.requests), groupBytes-c.open.bytes)
	for _, r := range c.taken {
		c.consider(r)
	}
	clear(c.taken)
	return closed
}

// consider decides the request in the open group, or puts it off.
func (c *committer) consider(r *request) {
	if !c.decide(r) {
		c.deferred = append(c.deferred, r)
		return
	}
	c.open.requests = append(c.open.requests, r)
	c.open.bytes += r.size()
}

// handOver has the open group synced, if it changes anything, and opens the next.
func (c *committer) handOver() (handed *group) {
	if len(c.open.requests) == 0 {
		return nil
	}
	handed = c.open
	c.renew()
	if !handed.batch.Empty() {
		c.inFlight = handed
		c.batches <- handed.batch
		return nil
	}
	return handed
}

// advance answers the group that was in flight, if any, but not before the next one is on its way to the disk. A group that
// only read is answered after it: it may have read what it changed.
func (c *committer) advance(synced *group, err error) {
	read := c.handOver()
	if synced != nil {
		c.answer(synced, err)
	}
	if read != nil {
		c.answer(read, c.store.fault.Err())
	}
	c.reconsider()
}

// answer ends a group. If it was committed, everyone sees its changes from now on.
func (c *committer) answer(g *group, err error) {
	if err == nil {
		c.show(g)
	}
	for _, r := range g.requests {
		if err != nil {
			r.err = err
		}
		r.done <- struct{}{}
	}
	g.batch.Reset()
	clear(g.requests)
	clear(g.changed)
	*g = group{requests: g.requests[:0], changed: g.changed[:0], batch: g.batch}
	c.free = append(c.free, g)
}

func (c *committer) show(g *group) {
	for _, r := range g.changed {
		c.store.live.end(r)
	}
	c.store.heads.drop(g.swept[0])
	c.store.outcomes.drop(g.swept[1])
}

// renew opens a group.
func (c *committer) renew() {
	last := len(c.free) - 1
	c.open, c.free = c.free[last], c.free[:last]
}

// reconsider tries once more what was deferred.
func (c *committer) reconsider() {
	again := c.deferred
	c.deferred = nil
	for _, r := range again {
		c.consider(r)
	}
}

// decide applies the request to the newest state of its record, and reports false if it must wait for the next group: one
// group changes a record at most once.
func (c *committer) decide(r *request) bool {
	switch r.kind {
	case sweeping:
		c.sweep()
		return true
	case renewing:
		var done bool
		done, r.err = c.store.live.renew(r.renew, c.store.clock.now())
		return done
	}
	sh := c.store.live.shard(&r.id)
	sh.mu.Lock()
	e := sh.records[r.id]
	if e == nil {
		version := sh.versions[r.id[1]]
		sh.mu.Unlock()
		onDisk, err := c.onDisk(r, version)
		if r.err = err; err != nil {
			return true
		}
		sh.mu.Lock()
		e = &liveRecord{stored: onDisk}
	}
	taken, written := c.apply(r, e)
	if written {
		sh.begin(e, r)
	}
	sh.mu.Unlock()
	if written {
		c.write(r)
	}
	return taken
}

// onDisk returns the record that nobody is changing and that is not in memory.
func (c *committer) onDisk(r *request, version uint32) (stored, error) {
	if r.seen.onDisk && r.seen.version == version {
		return r.seen.stored, nil
	}
	return c.store.read(r.id)
}

// apply decides the request on the record. The shard is locked, so that nobody renews it meanwhile.
func (c *committer) apply(r *request, e *liveRecord) (taken, written bool) {
	r.old = e.stored
	if e.pending != nil {
		r.old = e.pending.new
	}
	r.new, r.at = stored{}, c.store.clock.now()
	switch r.kind {
	case claiming:
		r.decision, written = r.claim.Apply(r.old.Record, r.at, c.next())
		r.new.Record = r.decision.Record
	case settling:
		r.record, written, r.err = r.settle.Apply(r.old.Record, r.at)
		r.new.Record = r.record
	}
	if written && e.pending != nil && e.pending.group == c.open {
		return false, false
	}
	r.group = c.open
	return true, written
}

// next returns a number greater than all before, also those before a crash: a new epoch is durable with the first use of it.
func (c *committer) next() uint64 {
	c.last++
	if uint32(c.last) == 0 {
		_ = c.open.batch.Set(epochKey, encodeEpoch(c.last>>32), nil) // a batch in memory cannot fail
	}
	return c.last
}

// write puts the request's change into the batch: it takes away what the disk has of the record and adds what is new.
func (c *committer) write(r *request) {
	c.open.changed = append(c.open.changed, r)
	c.erase(r.id, &r.old)
	switch r.new.State {
	case refrain.StateRunning:
		r.new.running = true
		c.key = appendRunningKey(c.key[:0], r.new.Fence, r.id)
		c.value = refrain.AppendRecord(c.value[:0], r.id, r.new.Record)
		_ = c.open.batch.Set(c.key, c.value, nil)
	case refrain.StateUnknown:
		c.writeEnded(r, eternal, eternal)
	case refrain.StateDone:
		c.writeEnded(r, generationOf(r.at, r.new.Forget.Sub(r.at)), generationOf(r.at, r.new.Retain.Sub(r.at)))
	}
}

// erase takes away what the disk has of the record. A tombstone's outcome is left to the sweeper.
func (c *committer) erase(id refrain.ID, old *stored) {
	if old.running {
		c.key = appendRunningKey(c.key[:0], old.Fence, id)
		// The key was set once, so that both can vanish together at the next flush.
		_ = c.open.batch.SingleDelete(c.key, nil)
	}
	if old.head != (generation{}) {
		c.key = appendHeadKey(c.key[:0], old.head, id)
		_ = c.open.batch.Delete(c.key, nil)
	}
	if old.outcome.generation == eternal {
		c.key = appendOutcomeKey(c.key[:0], old.outcome)
		_ = c.open.batch.Delete(c.key, nil)
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
		_ = c.open.batch.Set(c.key, c.value, nil)
	}
	c.key = appendHeadKey(c.key[:0], head, r.id)
	c.value = appendHead(c.value[:0], r.id, r.new.Record, r.new.outcome)
	_ = c.open.batch.Set(c.key, c.value, nil)
}

// sweep drops the generations in which nothing lives any more: one range each, whatever it holds.
func (c *committer) sweep() {
	now := c.store.clock.now()
	c.open.swept = [2][]held{c.store.heads.over(now), c.store.outcomes.over(now)}
	for i, prefix := range []byte{prefixHead, prefixOutcome} {
		for _, g := range c.open.swept[i] {
			start, end := rangeOf(prefix, g.generation)
			_ = c.open.batch.DeleteRange(start, end, nil)
		}
	}
}

// syncer makes one batch after the other durable.
func (c *committer) syncer() {
	for b := range c.batches {
		c.synced <- c.store.sync(b)
	}
}

// sync makes the batch durable. Any failure is a fault of the store: nobody can tell what of the batch is on the disk. Pebble
// answers a failed commit with nil after it has told its logger, or with a panic.
func (s *Store) sync(b *pebble.Batch) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.fault.fail(fmt.Errorf("committing: %v", p))
		}
	}()
	if err := s.db.Apply(b, pebble.Sync); err != nil {
		return s.fault.fail(fmt.Errorf("committing: %w", err))
	}
	return s.fault.Err()
}
