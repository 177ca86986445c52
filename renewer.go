package refrain

import (
	"sync"
	"time"
)

// A renewer sees to it that leases are renewed in time. Nearly every claim ends long before, so that none has a timer of
// its own: those with the same lease stand in one queue, in the order in which they come due.
type renewer struct {
	mu     sync.Mutex
	queues map[time.Duration]*renewalQueue // by lease; each has a timer that runs, or there is none
}

// A renewalQueue is a ring of the tenures with one lease, with the queue's own link as its beginning and end.
type renewalQueue struct {
	renewer *renewer
	lease   time.Duration
	ring    renewalLink
	timer   *time.Timer
}

// A renewalLink is a tenure's place in a queue.
type renewalLink struct {
	prev, next *renewalLink
	tenure     *tenure
	due        time.Time
}

// add queues a tenure that has just been granted or renewed: it is due when a third of its lease has passed, so that two
// renewals may fail.
func (r *renewer) add(t *tenure, lease time.Duration, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.queues[lease]
	if q == nil {
		q = &renewalQueue{renewer: r, lease: lease}
		q.ring.prev, q.ring.next = &q.ring, &q.ring
		q.timer = time.AfterFunc(lease/3, q.renew)
		if r.queues == nil {
			r.queues = make(map[time.Duration]*renewalQueue)
		}
		r.queues[lease] = q
	}
	l := &t.link
	l.tenure, l.due = t, now.Add(lease/3)
	l.prev, l.next = q.ring.prev, &q.ring
	l.prev.next, l.next.prev = l, l
}

// remove takes a tenure off its queue, if it is in one.
func (r *renewer) remove(t *tenure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.link.remove()
}

func (l *renewalLink) remove() {
	if l.next != nil {
		l.prev.next, l.next.prev = l.next, l.prev
		l.prev, l.next = nil, nil
	}
}

// renew starts the renewals that are due, each in a goroutine of its own since the store may take its time, and sets the
// timer for the next. A queue that is found empty is given up.
func (q *renewalQueue) renew() {
	q.renewer.mu.Lock()
	defer q.renewer.mu.Unlock()
	now := time.Now()
	for l := q.ring.next; l != &q.ring; l = q.ring.next {
		if left := l.due.Sub(now); left > 0 {
			q.timer.Reset(left)
			return
		}
		l.remove()
		go l.tenure.flight.leader.keepAlive()
	}
	delete(q.renewer.queues, q.lease)
}

// stop ends the timers of a renewer whose tenures have all ended.
func (r *renewer) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.queues {
		q.timer.Stop()
	}
	clear(r.queues)
}
