package sqlitestore

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/refrain-dev/refrain"
)

// A request is a transition on its way through a commit.
type request struct {
	id         refrain.ID
	claim      *refrain.Claim
	settlement *refrain.Settlement
	renewal    *refrain.Renewal

	owner atomic.Int32
	done  chan struct{} // closed when there is an answer

	// The answer:
	decision refrain.Decision // to a claim
	record   refrain.Record   // to a settlement
	err      error
}

// The owners of a request. Whoever leaves before the writer has taken it takes it along.
const (
	waiting int32 = iota
	taken         // by the writer
	left          // by its caller
)

func (r *request) take() bool { return r.owner.CompareAndSwap(waiting, taken) }

func (r *request) leave() bool { return r.owner.CompareAndSwap(waiting, left) }

// apply decides the request on the record and reports whether that changes it. Fence is the greatest that was handed out, and
// is raised when the request gets one.
func (r *request) apply(cur refrain.Record, now time.Time, fence *uint64) (next refrain.Record, written bool) {
	switch {
	case r.claim != nil:
		r.decision, written = r.claim.Apply(cur, now, *fence+1)
		if written {
			*fence++
		}
		return r.decision.Record, written
	case r.settlement != nil:
		r.record, written, r.err = r.settlement.Apply(cur, now)
		return r.record, written
	}
	next, r.err = r.renewal.Apply(cur, now)
	return next, r.err == nil
}

// size returns about how many bytes the request adds to a commit.
func (r *request) size() int {
	if r.settlement == nil {
		return 200
	}
	return 400 + r.settlement.Outcome.Size()
}

// answer ends the request: with the error, or with what was decided.
func (r *request) answer(err error) {
	if err != nil {
		r.err = err
	}
	close(r.done)
}

// await waits for the answer.
func (r *request) await(ctx context.Context) error {
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
	}
	if r.leave() {
		return fmt.Errorf("%w: nothing was written: %w", refrain.ErrUnavailable, context.Cause(ctx))
	}
	return fmt.Errorf("%w: the commit goes on without its caller: %w", refrain.ErrUnavailable, context.Cause(ctx))
}
