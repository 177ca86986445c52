package refrain

import (
	"context"
	"sync"
	"time"
)

// A flight is an operation that this process is busy with. Duplicates in the process join it and wait for its news
// instead of asking the store.
type flight struct {
	shard   *flightShard // whose lock guards the rest
	news    news
	changed chan struct{} // closed when there is more news; nil while nobody waits for it
}

// news is what the leader of a flight has told its followers.
type news struct {
	stage  stage
	err    error     // decided: nothing is claimed
	record Record    // decided: what the store said; landed: what is durable now, absent means to ask again
	now    time.Time // the store's time when it decided
	next   time.Time // landed, and another process works on it: when the store may be asked again
}

// A stage is how far a flight has come.
type stage uint8

const (
	stageAsking  stage = iota
	stageDecided       // the leader knows the store's first decision
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
	a.tenure = &tenure{attempt: a, flight: flight{shard: sh}}
	f = &a.tenure.flight
	sh.byID[a.id] = f
	return f, true
}

// hear returns the latest news and, unless there will be no more, a channel that is closed with the next.
func (f *flight) hear() (n news, more <-chan struct{}) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if f.changed == nil && f.news.stage != stageLanded {
		f.changed = make(chan struct{})
	}
	return f.news, f.changed
}

// publish tells the followers the store's first decision; what comes after it they need not know. Only the leader calls it.
func (f *flight) publish(d *Decision, err error) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if f.news.stage == stageAsking {
		f.news = news{stage: stageDecided, err: err, record: d.Record, now: d.Now}
		f.wake()
	}
}

// land ends the flight and tells the followers what is durable now, and when to ask if nothing is. Each flight lands once.
func (f *flight) land(id ID, r Record, next time.Time) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	delete(f.shard.byID, id)
	f.news.stage, f.news.record, f.news.next = stageLanded, r, next
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

// pause waits for d and reports whether patience lasts longer and the guard wants more claims.
func (w *wait) pause(d time.Duration) bool {
	if w.left == 0 {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-w.quit:
	case <-w.ctx.Done():
	case <-w.over():
	}
	w.left = 0
	return false
}
