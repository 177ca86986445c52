package pgstore

import (
	"container/list"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/refrain-dev/refrain"
)

// A request is a transition on its way through a transaction. It is one of the three.
type request struct {
	id         refrain.ID
	claim      *refrain.Claim
	settlement *refrain.Settlement
	renewal    *refrain.Renewal

	left  bool          // its caller does not wait; guarded by the queue
	place *list.Element // in its turn; guarded by the queue
	rests int           // how often somebody else held the operation
	alone bool          // it goes by itself: with others it was in a transaction that failed, and may be why

	homeless bool // what it writes goes to bucket 0

	done     chan struct{} // of one slot: the answer is there
	decision refrain.Decision
	record   refrain.Record
	err      error
}

func newRequest(id refrain.ID) *request { return &request{id: id, done: make(chan struct{}, 1)} }

// size returns about how many bytes the request sends besides its names.
func (r *request) size() int {
	if r.settlement == nil {
		return 0
	}
	return r.settlement.Outcome.Size()
}

// widthFor returns the width of the bucket for what lives so long. There is none of width 0.
func (r *request) widthFor(lifetime time.Duration) int16 {
	if r.homeless {
		return 0
	}
	return widthFor(lifetime)
}

func (r *request) answer(err error) {
	r.err = err
	r.done <- struct{}{}
}

// lock returns the number of the operation's advisory lock. Two that share one wait for each other now and then, no more.
func (s *Store) lock(id *refrain.ID) int64 { return int64(binary.BigEndian.Uint64(id[:]) ^ s.salt) }

// conclude decides the request on what the database has shown. It reports false if somebody else holds the operation, and what
// is committed of it does not answer the request.
func (r *request) conclude(seen *sighting) bool {
	cur := seen.record()
	var written bool
	switch {
	case r.claim != nil:
		r.decision, written = r.claim.Apply(cur, seen.at, seen.newFence)
	case r.settlement != nil:
		r.record, written, r.err = r.settlement.Apply(cur, seen.at)
	default:
		_, r.err = r.renewal.Apply(cur, seen.at)
		written = r.err == nil
	}
	if written && !seen.held {
		r.err = nil
		return false
	}
	if written != seen.written {
		r.err = fmt.Errorf("%w: %w: operation %v", refrain.ErrUnavailable, errNonsense, r.id)
	}
	return true
}

// rest lets the request come again in a while.
func (s *Store) rest(r *request) {
	wait := pause(r.rests)
	r.rests++ // while it is nobody else's
	time.AfterFunc(wait, func() { s.queue.add(r) })
}

// do has the request made and waits for its answer, as long as ctx lasts.
func (s *Store) do(ctx context.Context, r *request) error {
	if err := s.Err(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", refrain.ErrUnavailable, err)
	}
	s.queue.add(r)
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		s.queue.leave(r)
		return fmt.Errorf("%w: %w", refrain.ErrUnavailable, ctx.Err())
	}
}
