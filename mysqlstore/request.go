package mysqlstore

import (
	"context"
	"time"

	"github.com/refrain-dev/refrain"
)

// A request is a claim of what is probably new, or a finish of what this store claimed. It is answered, or is found to be
// anything else, which its caller then sees to.
type request struct {
	claim  *refrain.Claim
	settle *refrain.Settlement
	record refrain.Record // of a finish the claim, and in the end that after it
	plan   plan           // of a finish

	found *found // of a claim that was not won: what is there
	done  bool   // it was won, or has finished
	lost  bool   // nobody knows, for the server did not answer; otherwise nothing was made of it
	ready chan struct{}
}

// size is about how many bytes it sends besides a row.
func (r *request) size() int {
	if r.settle == nil {
		return 0
	}
	return r.settle.Outcome.Size()
}

// A plan is how long an outcome and its operation are kept, in microseconds, and in which partitions.
type plan struct {
	retention, life int64
	done, kept      split
}

// planFor chooses the partitions of a finish.
func (s *Store) planFor(ctx context.Context, t *refrain.Settlement) plan {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	life := t.Retention + t.Tombstone
	p := plan{retention: us(t.Retention), life: us(life), done: unsplit, kept: unsplit}
	lvl, ok := s.parts.covering(ctx, tableOutcomes, t.Retention)
	if !ok {
		return p // both are swept row by row
	}
	p.kept = splitAt(lvl)
	if lvl, ok := s.parts.covering(ctx, tableDone, life); ok {
		p.done = splitAt(lvl)
	}
	return p
}

func us(d time.Duration) int64 { return int64(d / time.Microsecond) }

// won answers a claim.
func (r *request) won(fence uint64, now time.Time) {
	r.record = refrain.Record{
		State: refrain.StateRunning, Token: r.claim.Token, Fence: fence, Fingerprint: r.claim.Fingerprint, Created: now,
		Lease: at(now.UnixMicro() + us(r.claim.Lease)),
	}
	r.done = true
}

// finished answers a finish.
func (r *request) finished(now time.Time) {
	r.record.State, r.record.Outcome, r.record.Lease = refrain.StateDone, r.settle.Outcome, time.Time{}
	r.record.Retain, r.record.Forget = at(now.UnixMicro()+r.plan.retention), at(now.UnixMicro()+r.plan.life)
	r.done = true
}
