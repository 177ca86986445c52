package pebblestore

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/refrain-dev/refrain"
)

// The committer is the only one who writes. It takes the requests that wait, decides each of them on what is durable and
// what the group changes, commits the changes with one sync, and answers. While it syncs, the next group gathers.
type committer struct {
	store *Store
	last  uint64 // number handed out; the epoch is its upper half

	// Of the group:
	batch   *pebble.Batch
	changes map[refrain.ID]*change
	order   []*change
	swept   [2][]held // heads and outcomes to drop

	key, value []byte // scratch
}

// A change is what the group makes of one record.
type change struct {
	id       refrain.ID
	old, new stored
	at       time.Time
}

func (c *committer) run() {
	var group []*request
	for {
		group = c.store.queue.take(group[:0])
		if len(group) == 0 {
			return
		}
		c.commit(group)
		clear(group)
	}
}

// commit decides the requests, makes the changes durable, and only then shows them and answers.
func (c *committer) commit(group []*request) {
	c.batch.Reset()
	clear(c.changes)
	c.order = c.order[:0]
	for _, r := range group {
		c.decide(r)
	}
	for _, ch := range c.order {
		c.write(ch)
	}
	err := c.sync()
	if err == nil {
		c.show()
	}
	for _, r := range group {
		if err != nil {
			r.err = err
		}
		r.done <- struct{}{}
	}
}

// decide applies the request to the record as the group leaves it.
func (c *committer) decide(r *request) {
	if r.kind == sweeping {
		c.sweep()
		return
	}
	cur, err := c.current(r)
	if err != nil {
		r.err = err
		return
	}
	now, written := c.store.clock.now(), false
	next := cur.Record
	switch r.kind {
	case claiming:
		r.decision, written = r.claim.Apply(cur.Record, now, c.next())
		next = r.decision.Record
	case settling:
		next, written, r.err = r.settle.Apply(cur.Record, now)
		r.record = next
	case renewing:
		next, r.err = r.renew.Apply(cur.Record, now)
		written = r.err == nil
	}
	c.note(r, cur, next, written, now)
}

// note keeps in mind what the request makes of the record.
func (c *committer) note(r *request, cur stored, next refrain.Record, written bool, now time.Time) {
	ch := c.changes[r.id]
	switch {
	case ch != nil && written:
		ch.new.Record, ch.at = next, now
	case ch != nil:
	case !written:
		c.store.live.thaw(r.id)
	case r.kind == renewing:
		cur.Record = next
		c.store.live.end(r.id, cur) // in memory only
	default:
		ch = &change{id: r.id, old: cur, new: stored{Record: next}, at: now}
		c.changes[r.id] = ch
		c.order = append(c.order, ch)
		c.store.live.begin(r.id, cur)
	}
}

// current returns the record as the group leaves it so far.
func (c *committer) current(r *request) (stored, error) {
	if ch := c.changes[r.id]; ch != nil {
		return ch.new, nil
	}
	cur, held, version := c.store.live.freeze(r.id)
	switch {
	case held:
		return cur, nil
	case r.seen.onDisk && r.seen.version == version:
		return r.seen.stored, nil
	}
	return c.store.read(r.id)
}

// next returns a number greater than all before, also those before a crash: a new epoch is durable with the first use of it.
func (c *committer) next() uint64 {
	c.last++
	if uint32(c.last) == 0 {
		_ = c.batch.Set(epochKey, encodeEpoch(c.last>>32), nil)
	}
	return c.last
}

// write puts the change into the batch: it takes away what the disk has of the record and adds what is new.
func (c *committer) write(ch *change) {
	c.erase(ch.id, ch.old)
	ch.new = stored{Record: ch.new.Record}
	switch ch.new.State {
	case refrain.StateRunning:
		ch.new.running = true
		c.key = appendRunningKey(c.key[:0], ch.new.Fence, ch.id)
		c.value = refrain.AppendRecord(c.value[:0], ch.id, ch.new.Record)
		_ = c.batch.Set(c.key, c.value, nil) // a batch of its own memory cannot fail
	case refrain.StateUnknown:
		c.writeEnded(ch, eternal, eternal)
	case refrain.StateDone:
		c.writeEnded(ch, generationOf(ch.at, ch.new.Forget.Sub(ch.at)), generationOf(ch.at, ch.new.Retain.Sub(ch.at)))
	}
}

// erase takes away what the disk has of the record. A tombstone's outcome is left to the sweeper.
func (c *committer) erase(id refrain.ID, old stored) {
	if old.running {
		c.key = appendRunningKey(c.key[:0], old.Fence, id)
		// The key was set once, so that both can vanish together at the next flush.
		_ = c.batch.SingleDelete(c.key, nil)
	}
	if old.head != (generation{}) {
		c.key = appendHeadKey(c.key[:0], old.head, id)
		_ = c.batch.Delete(c.key, nil)
	}
	if old.outcome.generation == eternal {
		c.key = appendOutcomeKey(c.key[:0], old.outcome)
		_ = c.batch.Delete(c.key, nil)
	}
}

// writeEnded puts the head and the outcome into their generations.
func (c *committer) writeEnded(ch *change, head, outcome generation) {
	ch.new.head = head
	c.store.headsOf(head).add(&ch.id)
	if ch.new.Outcome != nil {
		c.store.outcomesOf(outcome)
		ch.new.outcome = place{outcome, c.next()}
		c.key = appendOutcomeKey(c.key[:0], ch.new.outcome)
		c.value = refrain.AppendRecord(c.value[:0], ch.id, ch.new.Record)
		_ = c.batch.Set(c.key, c.value, nil)
	}
	c.key = appendHeadKey(c.key[:0], head, ch.id)
	c.value = appendHead(c.value[:0], ch.id, ch.new.Record, ch.new.outcome)
	_ = c.batch.Set(c.key, c.value, nil)
}

// headsOf returns the filter of the generation, which is made if it is not there.
func (s *Store) headsOf(g generation) *filter {
	f, known := s.heads.find(g)
	if !known {
		f = newFilter(&s.filterBytes)
		f.finish()
		s.heads.add(g, f)
	}
	return f
}

// outcomesOf makes the generation known.
func (s *Store) outcomesOf(g generation) {
	if _, known := s.outcomes.find(g); !known {
		s.outcomes.add(g, nil)
	}
}

// sweep drops the generations in which nothing lives any more: two keys each, whatever they hold.
func (c *committer) sweep() {
	now := c.store.clock.now()
	c.swept = [2][]held{c.store.heads.over(now), c.store.outcomes.over(now)}
	for i, prefix := range []byte{prefixHead, prefixOutcome} {
		for _, g := range c.swept[i] {
			start, end := rangeOf(prefix, g.generation)
			_ = c.batch.DeleteRange(start, end, nil)
		}
	}
}

// show lets everyone see what the group has made durable.
func (c *committer) show() {
	for _, ch := range c.order {
		c.store.live.end(ch.id, ch.new)
	}
	for _, g := range c.swept[0] {
		g.release()
	}
	c.store.heads.drop(c.swept[0])
	c.store.outcomes.drop(c.swept[1])
	c.swept = [2][]held{}
}

// sync makes the batch durable. Any failure is a fault of the store: nobody can tell what of the batch is on the disk. Pebble
// answers a failed commit with nil after it has told its logger, or with a panic.
func (c *committer) sync() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = c.store.fault.fail(fmt.Errorf("committing: %v", p))
		}
	}()
	if c.batch.Empty() {
		return c.store.fault.Err()
	}
	if err := c.store.db.Apply(c.batch, pebble.Sync); err != nil {
		return c.store.fault.fail(fmt.Errorf("committing: %w", err))
	}
	return c.store.fault.Err()
}
