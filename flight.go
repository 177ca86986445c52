package refrain

import (
	"context"
	"sync"
	"time"
)

// A flight is an operation that this process is busy with. Duplicates in the process join it and wait on its channels
// instead of asking the store.
type flight struct {
	claimed  chan struct{} // closed when the leader knows the store's first decision
	decision Decision      // after claimed
	err      error         // after claimed

	settled chan struct{} // closed when the operation has ended, or the leader no longer watches it
	record  Record        // after settled: what is durable now; absent means to ask again
}

// flights are the operations that this process is busy with.
type flights struct {
	shards [64]struct {
		mu   sync.Mutex
		byID map[ID]*flight
	}
}

// join returns the operation's flight, and whether the caller leads it: then it must ask the store, publish the answer and
// land the flight.
func (fs *flights) join(id ID) (f *flight, leads bool) {
	sh := &fs.shards[id[0]%uint8(len(fs.shards))]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if f, ok := sh.byID[id]; ok {
		return f, false
	}
	if sh.byID == nil {
		sh.byID = make(map[ID]*flight)
	}
	f = &flight{claimed: make(chan struct{}), settled: make(chan struct{})}
	sh.byID[id] = f
	return f, true
}

// publish tells the followers the store's first decision; what comes after it they need not know. Only the leader calls it.
func (f *flight) publish(d Decision, err error) {
	select {
	case <-f.claimed:
	default:
		f.decision, f.err = d, err
		close(f.claimed)
	}
}

// land ends the flight and tells the followers what is durable now. Each flight lands once.
func (fs *flights) land(id ID, f *flight, r Record) {
	sh := &fs.shards[id[0]%uint8(len(fs.shards))]
	sh.mu.Lock()
	delete(sh.byID, id)
	sh.mu.Unlock()
	f.record = r
	close(f.settled)
}

// A wait is the patience of one attempt: its policy's Wait, from the first time it is needed, and its caller's presence.
type wait struct {
	ctx   context.Context
	quit  <-chan struct{} // closed when the guard wants no more claims
	left  time.Duration
	timer *time.Timer
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
