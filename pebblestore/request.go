package pebblestore

import (
	"sync"
	"time"

	"github.com/refrain-dev/refrain"
)

// A request is a claim or a settlement that changes a record, on its way through a commit.
type request struct {
	id         refrain.ID
	claim      *refrain.Claim
	settlement *refrain.Settlement

	seen sighting // what the caller saw

	group   *group
	late    <-chan struct{} // the group's, which may be answered before its requests wait
	changed bool
	at      time.Time
	old     stored // what the disk has when the group is committed
	new     stored // and after it

	done chan struct{} // of one slot: the answer is there

	// The answer:
	verdict refrain.Verdict // of a claim, on new
	err     error
}

// A sighting is a durable record that a caller saw, and the version that tells whether that still holds.
type sighting struct {
	stored
	version  uint32
	onDisk   bool // live did not hold it
	changing bool // what comes after it is not durable yet
}

// apply decides the request on the record and reports whether that changes it. The error is the protocol's.
func (r *request) apply(cur *refrain.Record, now time.Time, fence uint64) (next refrain.Record, written bool) {
	if r.claim != nil {
		var d refrain.Decision
		d, written = r.claim.Apply(*cur, now, fence)
		r.verdict, r.err = d.Verdict, nil
		return d.Record, written
	}
	next, written, r.err = r.settlement.Apply(*cur, now)
	return next, written
}

// size returns about how many bytes the request adds to a commit.
func (r *request) size() int {
	if r.claim != nil {
		return 200
	}
	return 400 + r.settlement.Outcome.Size()
}

// answer ends the request: with the error, or with what was decided.
func (r *request) answer(err error) {
	if err != nil {
		r.err = err
	}
	r.done <- struct{}{}
}

// requests recycles requests with their channels.
type requests struct{ pool sync.Pool }

func (rs *requests) get() *request {
	if r, ok := rs.pool.Get().(*request); ok {
		return r
	}
	return &request{done: make(chan struct{}, 1)}
}

// put takes back a request that no group has, or whose answer was received.
func (rs *requests) put(r *request) {
	*r = request{done: r.done}
	rs.pool.Put(r)
}
