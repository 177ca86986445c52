package refrain

import (
	"context"
	"sync"
	"time"
)

// A flight is an operation that this process is busy with. Duplicates in the process join it and wait for its news
// instead of asking the store.
type flight struct {
	leader  *Attempt
	shard   *flightShard // whose lock guards the rest, and the leader's Record and Now while others may look
	stage   stage
	err     error         // decided: nothing is claimed
	landed  *Record       // landed: what is durable now, nil to ask again
	next    time.Time     // landed, and another process works on it: when the store may be asked again
	changed chan struct{} // closed when there is more news; nil while nobody waits for it
}

// news is what a follower hears of a flight.
type news struct {
	stage  stage
	err    error
	record Record // decided: what the store said; landed: what is durable now, absent means to ask again
	now    time.Time
	next   time.Time
}

// A stage is how far a flight has come.
type stage uint8

const (
	stageAsking  stage = iota
	stageDecided       // the leader knows the store's decision
	stageLanded        // the operation has ended, or the leader no longer watches it
)

// flights are the operations that this process is busy with.
type flights struct {
	shards [64]flightShard
}

type flightShard struct {
	mu   sync.Mutex
	byID map[ID]*flight
}

// join returns the flight of the attempt's operation, and whether the attempt leads it: then it must ask the store, publish
// the answer and land the flight.
func (fs *flights) join(a *Attempt) (f *flight, leads bool) {
	sh := &fs.shards[a.id[0]%uint8(len(fs.shards))]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if f, ok := sh.byID[a.id]; ok {
		return f, false
	}
	if sh.byID == nil {
		sh.byID = make(map[ID]*flight)
	}
	a.tenure = &tenure{flight: flight{leader: a, shard: sh}}
	f = &a.tenure.flight
	sh.byID[a.id] = f
	return f, true
}

// hear returns the latest news and, unless there will be no more, a channel that is closed with the next.
func (f *flight) hear() (n news, more <-chan struct{}) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	n = news{stage: f.stage, err: f.err, next: f.next}
	switch {
	case f.stage == stageDecided:
		n.record, n.now = f.leader.Record, f.leader.Now
	case f.landed != nil:
		n.record, n.now = *f.landed, f.leader.Now
	}
	if f.changed == nil && f.stage != stageLanded {
		f.changed = make(chan struct{})
	}
	return n, f.changed
}

// decide makes the store's decision the leader's and tells the followers, if it is the first; of a later one they need not
// know.
func (f *flight) decide(d *Decision) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	f.leader.Verdict, f.leader.Record, f.leader.Now = d.Verdict, d.Record, d.Now
	f.publish(nil)
}

// fail tells the followers, if they know nothing yet, that there is no decision.
func (f *flight) fail(err error) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	f.publish(err)
}

// publish is called with the lock held.
func (f *flight) publish(err error) {
	if f.stage == stageAsking {
		f.stage, f.err = stageDecided, err
		f.wake()
	}
}

// finish makes the finished record the leader's, and ends the flight if it has not landed before.
func (f *flight) finish(r *Record) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	f.leader.Record = *r
	if f.stage != stageLanded {
		f.end(&f.leader.Record, time.Time{})
	}
}

// land ends the flight and tells the followers what is durable now, or with nil to ask again, and when. Each flight ends
// once.
func (f *flight) land(r *Record, next time.Time) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	f.end(r, next)
}

// end is called with the lock held.
func (f *flight) end(r *Record, next time.Time) {
	delete(f.shard.byID, f.leader.id)
	f.stage, f.landed, f.next = stageLanded, r, next
	f.wake()
}

// wake is called with the lock held.
func (f *flight) wake() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// A wait is the patience of one attempt: its policy's Wait, from the first time it is needed, and its caller's presence.
type wait struct {
	ctx   context.Context
	quit  <-chan struct{} // closed when the guard wants no more claims
	left  time.Duration
	timer *time.Timer
	next  time.Time // while another process works on it: when the store may be asked again
}

// untilNext returns how long the store need not be asked.
func (w *wait) untilNext() time.Duration {
	if w.next.IsZero() {
		return 0 // nearly always, and the clock costs something
	}
	return time.Until(w.next)
}

// over returns a channel that is ready when patience ends.
func (w *wait) over() <-chan time.Time {
	if w.timer == nil {
		w.timer = time.NewTimer(w.left)
	}
	return w.timer.C
}

func (w *wait) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// until waits for c and reports whether it came before patience ended.
func (w *wait) until(c <-chan struct{}) bool {
	if w.left == 0 {
		return false
	}
	select {
	case <-c:
		return true
	case <-w.ctx.Done():
	case <-w.over():
	}
	w.left = 0
	return false
}

// pause waits for d, or for less if it is woken, and reports whether patience lasts longer and the guard wants more claims.
func (w *wait) pause(d time.Duration, wake <-chan struct{}) bool {
	if w.left == 0 {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-wake:
		return true
	case <-w.quit:
	case <-w.ctx.Done():
	case <-w.over():
	}
	w.left = 0
	return false
}
