package mysqlstore

import (
	"context"
	"sync"
	"time"
)

const (
	// lanes is how many groups may be under way at a time. While one waits for the disk, the next is worked on.
	lanes = 3
	// maxGroup is how many requests a group may have.
	maxGroup = 256
)

// A queue holds the requests until a lane takes them.
type queue struct {
	mu      sync.Mutex
	waiting []*request
	due     int // how many are expected to come back soon: those that were answered last

	some   chan struct{} // of one slot: there is something
	enough chan struct{} // of one slot: there is as much as was expected
}

func newQueue() *queue {
	return &queue{some: make(chan struct{}, 1), enough: make(chan struct{}, 1)}
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

// answered says that n requests were answered, whose callers may soon have others.
func (q *queue) answered(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.due = min(n, maxGroup)
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
	n := min(len(q.waiting), maxGroup)
	group := q.waiting[:n:n]
	q.waiting = append([]*request(nil), q.waiting[n:]...)
	q.due = 0
	if len(q.waiting) > 0 {
		signal(q.some)
	}
	return group
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
		if len(requests) == 0 {
			continue
		}
		start := time.Now()
		s.work(requests)
		patience = min(time.Since(start)/4, time.Millisecond)
		s.queue.answered(len(requests))
		for _, r := range requests {
			close(r.ready)
		}
	}
}
