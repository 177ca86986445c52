package pebblestore

import (
	"sync"
	"time"

	"github.com/refrain-dev/refrain"
)

// A request asks the committer for one transition.
type request struct {
	kind   requestKind
	id     refrain.ID
	claim  refrain.Claim
	settle refrain.Settlement
	renew  refrain.Renewal
	seen   sighting

	// Of the committer: what it makes of the record, and in which group.
	old, new stored
	at       time.Time
	group    *group

	// The answer, after done:
	decision refrain.Decision // to a claim
	record   refrain.Record   // to a settlement
	err      error
	done     chan struct{} // of one slot, so that the committer never waits for a caller

	place int // in the queue; -1 when it was taken
}

type requestKind uint8

const (
	claiming requestKind = iota
	settling
	renewing
	sweeping
)

// A sighting is what a caller saw of a record on the disk, and the version that tells whether that still holds.
type sighting struct {
	stored
	version uint32
	onDisk  bool // it was not held by live
}

// size returns about how many bytes the request adds to a commit.
func (r *request) size() int { return 512 + r.settle.Outcome.Size() }

// requests recycles requests with their channels.
type requests struct{ pool sync.Pool }

func (rs *requests) get() *request {
	if r, ok := rs.pool.Get().(*request); ok {
		return r
	}
	return &request{done: make(chan struct{}, 1)}
}

// put takes back a request whose answer was received, or that was withdrawn.
func (rs *requests) put(r *request) {
	*r = request{done: r.done}
	rs.pool.Put(r)
}

// A queue holds the requests that no group has taken yet.
type queue struct {
	mu      sync.Mutex
	waiting []*request
	closed  bool
	wake    chan struct{} // of one slot
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// put queues a request. The error is refrain.ErrClosed.
func (q *queue) put(r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return refrain.ErrClosed
	}
	r.place = len(q.waiting)
	q.waiting = append(q.waiting, r)
	if r.place == 0 {
		q.signal()
	}
	return nil
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// withdraw takes the request back, and reports whether that was in time.
func (q *queue) withdraw(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.place < 0 {
		return false
	}
	last := len(q.waiting) - 1
	q.waiting[r.place] = q.waiting[last]
	q.waiting[r.place].place = r.place
	q.waiting[last] = nil
	q.waiting = q.waiting[:last]
	r.place = -1
	return true
}

// The bounds of a group. They keep one commit short, and its batch well below what Pebble treats as a large one.
const (
	groupRequests = 1024
	groupBytes    = 2 << 20
)

// take appends to taken what waits, up to about so many requests and bytes, and reports whether the queue is closed. What
// is left makes the queue wake its taker again.
func (q *queue) take(taken []*request, requests, bytes int) (_ []*request, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for ; n < len(q.waiting) && n < requests && bytes > 0; n++ {
		r := q.waiting[n]
		r.place = -1
		bytes -= r.size()
		taken = append(taken, r)
	}
	left := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[left:])
	q.waiting = q.waiting[:left]
	for i, r := range q.waiting {
		r.place = i
	}
	return taken, q.closed
}

// close refuses further requests and answers those that wait.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, r := range q.waiting {
		r.place = -1
		r.err = refrain.ErrClosed
		r.done <- struct{}{}
	}
	q.waiting = nil
	q.signal()
}
