package mysqlstore

import (
	"context"
	"sync"
	"time"
)

const (
	// maxGroup is how many requests a group may have.
	maxGroup = 256
	// spares is how many groups may be under way besides the one that is always: while that one waits for the disk or a lock, the
	// next need not. More would be smaller, and the larger a group is, the less each of its requests costs.
	spares = 1
	// long is how long a group is under way until a spare lane takes the next: about a transaction and its flush.
	long = 3 * time.Millisecond
)

// A queue holds the requests until a lane takes them.
type queue struct {
	room int // how many bytes of outcomes a group may have; a single request is a group whatever it has

	mu      sync.Mutex
	waiting []*request
	due     int // how many are expected to come back soon: those that were answered last

	turn int  // how many groups the main lane has begun
	busy bool // with the last of them

	some   chan struct{} // of one slot: there is something
	enough chan struct{} // of one slot: there is as much as was expected
	begun  chan struct{} // of a slot for each spare lane: the main lane has begun a group
}

func newQueue() *queue {
	return &queue{some: make(chan struct{}, 1), enough: make(chan struct{}, 1), begun: make(chan struct{}, spares)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (q *queue) put(r *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, r)
	signal(q.some)
	if len(q.waiting) >= q.due {
		signal(q.enough)
	}
}

// answer ends the main lane's group, whose callers may soon have other requests.
func (q *queue) answer(group []*request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.due, q.busy = len(group), false
	for _, r := range group {
		close(r.ready)
	}
}

// take waits for requests and takes them. When many were answered a moment ago it waits a little for those who come back, so
// that a group is not the first of them alone while the others wait for the disk.
func (q *queue) take(ctx context.Context, patience time.Duration) []*request {
	select {
	case <-ctx.Done():
		return nil
	case <-q.some:
	}
	if q.short() && patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-q.enough:
		case <-timer.C:
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.turn++
	q.busy = true
	signal(q.begun)
	return q.next()
}

// next takes as many as may be in a group. The queue is locked.
func (q *queue) next() []*request {
	n, size := 0, 0
	for n < min(len(q.waiting), maxGroup) {
		size += q.waiting[n].size()
		if n > 0 && size > q.room {
			break
		}
		n++
	}
	group := q.waiting[:n:n]
	q.waiting = append([]*request(nil), q.waiting[n:]...)
	q.due = 0
	if len(q.waiting) > 0 {
		signal(q.some)
	}
	return group
}

// takeSpare waits until the main lane has been at one group for long, and takes what waits then.
func (q *queue) takeSpare(ctx context.Context) []*request {
	select {
	case <-ctx.Done():
		return nil
	case <-q.begun:
	}
	q.mu.Lock()
	turn := q.turn
	q.mu.Unlock()
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-timer.C:
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.turn != turn || !q.busy {
		return nil
	}
	signal(q.begun) // for another spare lane, or for this one when it is done
	return q.next()
}

// short reports whether fewer wait than are expected.
func (q *queue) short() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-q.enough:
	default:
	}
	return len(q.waiting) < q.due
}

// together puts the request into the next group and waits for it.
func (s *Store) together(ctx context.Context, r *request) error {
	r.ready = make(chan struct{})
	s.queue.put(r)
	select {
	case <-r.ready:
		return nil
	case <-ctx.Done():
		return gone(ctx)
	case <-s.life.Done():
		return gone(s.life)
	}
}

// lane commits one group after the other.
func (s *Store) lane() {
	var patience time.Duration
	for s.life.Err() == nil {
		requests := s.queue.take(s.life, patience)
		start := time.Now()
		s.work(requests)
		patience = min(time.Since(start)/4, time.Millisecond)
		s.queue.answer(requests)
	}
}

// spare commits groups while the lane is held up.
func (s *Store) spare() {
	for s.life.Err() == nil {
		requests := s.queue.takeSpare(s.life)
		s.work(requests)
		for _, r := range requests {
			close(r.ready)
		}
	}
}
