package sqlitestore

import (
	"slices"
	"sync"
)

// A queue holds the requests that wait for the writer.
type queue struct {
	wake chan struct{} // holds one while requests wait

	mu     sync.Mutex
	all    []*request
	closed error
}

func newQueue() queue { return queue{wake: make(chan struct{}, 1)} }

// add puts a request in, unless the queue is closed.
func (q *queue) add(r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		return q.closed
	}
	q.all = append(q.all, r)
	q.signal()
	return nil
}

// signal is called under mu.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// The bounds of a group. They keep one commit short.
const (
	groupRequests = 512
	groupBytes    = 4 << 20
)

// take returns the requests of the next commit, whose callers are still there. Renewals come first: an owner that is alive
// keeps its claim against whoever wants to take it over.
func (q *queue) take() []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	slices.SortStableFunc(q.all, func(a, b *request) int { return a.rank() - b.rank() })
	var group []*request
	n, bytes := 0, 0
	for n < len(q.all) && len(group) < groupRequests && bytes < groupBytes {
		r := q.all[n]
		if n++; r.take() {
			group = append(group, r)
			bytes += r.size()
		}
	}
	rest := copy(q.all, q.all[n:])
	clear(q.all[rest:])
	q.all = q.all[:rest]
	if rest > 0 {
		q.signal()
	}
	return group
}

func (r *request) rank() int {
	if r.renewal != nil {
		return 0
	}
	return 1
}

// prune drops the requests whose callers have left, and reports whether there are others.
func (q *queue) prune() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all = slices.DeleteFunc(q.all, func(r *request) bool { return r.owner.Load() == left })
	return len(q.all) > 0
}

// fail answers all that wait.
func (q *queue) fail(err error) {
	for group := q.take(); len(group) > 0; group = q.take() {
		for _, r := range group {
			r.answer(err)
		}
	}
}

// close fails all that wait and all that come.
func (q *queue) close(err error) {
	q.mu.Lock()
	q.closed = err
	q.mu.Unlock()
	q.fail(err)
}
