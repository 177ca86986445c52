package pgstore

import (
	"container/list"
	"sync"

	"github.com/refrain-dev/refrain"
)

const (
	maxGroup      = 128     // requests
	maxGroupBytes = 4 << 20 // of outcomes
)

// A queue holds the requests that wait for a transaction. Of one operation only one request is in a transaction at a time.
type queue struct {
	mu     sync.Mutex
	filled sync.Cond
	turns  map[refrain.ID]*turn
	ready  [2]list.List // of *turn that have a request and none that flies: of claims, and of all else
	count  uint64       // of turns that became ready
	closed error
}

// A turn is an operation's place in the queue.
type turn struct {
	waiting list.List // of *request
	flies   bool      // one of its requests is in a transaction
	place   *list.Element
	in      *list.List // where the place is
	since   uint64     // when it became ready
}

func newQueue() *queue {
	q := &queue{turns: make(map[refrain.ID]*turn)}
	q.filled.L = &q.mu
	return q
}

// add puts a request into the queue, unless its caller has left.
func (q *queue) add(r *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case r.left:
		return
	case q.closed != nil:
		r.answer(q.closed)
		return
	}
	t := q.turns[r.id]
	if t == nil {
		t = &turn{}
		q.turns[r.id] = t
	}
	r.place = t.waiting.PushBack(r)
	q.advance(r.id, t)
}

// advance sees to it that a turn is where it belongs.
func (q *queue) advance(id refrain.ID, t *turn) {
	switch {
	case t.flies:
	case t.waiting.Len() == 0:
		if t.place != nil {
			t.in.Remove(t.place)
		}
		delete(q.turns, id)
	case t.place == nil:
		q.count++
		t.in, t.since = q.listOf(t.waiting.Front().Value.(*request)), q.count
		t.place = t.in.PushBack(t)
		q.filled.Signal()
	}
}

// leave takes a request out whose caller does not wait any more. One that flies goes on.
func (q *queue) leave(r *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r.left = true
	if r.place != nil {
		t := q.turns[r.id]
		t.waiting.Remove(r.place)
		r.place = nil
		q.advance(r.id, t)
	}
}

// listOf returns where an operation waits whose next request this is.
func (q *queue) listOf(r *request) *list.List {
	if r.claim != nil {
		return &q.ready[0]
	}
	return &q.ready[1]
}

// oldest returns the list whose first has waited longest. It is empty if both are.
func (q *queue) oldest() *list.List {
	first, second := q.ready[0].Front(), q.ready[1].Front()
	if first == nil || second != nil && second.Value.(*turn).since < first.Value.(*turn).since {
		return &q.ready[1]
	}
	return &q.ready[0]
}

// take waits for requests and returns as many as fit into one transaction, or nil when the queue is closed. Claims have
// transactions of their own: a second function in one costs as much as a second transaction, and the more rows a call has the
// less each costs.
func (q *queue) take() []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.oldest().Len() == 0 {
		if q.closed != nil {
			return nil
		}
		q.filled.Wait()
	}
	from := q.oldest()
	var group []*request
	for size := 0; from.Len() > 0 && len(group) < maxGroup && size < maxGroupBytes; {
		t := from.Front().Value.(*turn)
		r := t.waiting.Front().Value.(*request)
		if r.alone && len(group) > 0 {
			break
		}
		from.Remove(t.place)
		t.waiting.Remove(r.place)
		t.place, t.flies, r.place = nil, true, nil
		group = append(group, r)
		if size += r.size(); r.alone {
			break
		}
	}
	return group
}

// land lets the next requests of the operations have their turn.
func (q *queue) land(group []*request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range group {
		t := q.turns[r.id]
		t.flies = false
		q.advance(r.id, t)
	}
}

// close answers those that wait with the error, and all that come.
func (q *queue) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = err
	for _, t := range q.turns {
		for t.waiting.Len() > 0 {
			r := t.waiting.Remove(t.waiting.Front()).(*request)
			r.place = nil
			r.answer(err)
		}
	}
	q.ready[0].Init()
	q.ready[1].Init()
	q.filled.Broadcast()
}
