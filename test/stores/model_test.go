// Package stores checks all stores against the pure protocol: concurrent histories for linearizability, and the same calls
// on every store for equal answers.
package stores

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/storetest"
)

// epoch is the time at which every call of a history happens: the workload's leases and retentions have ended in the past
// or outlast it.
var epoch = time.Unix(1_700_000_000, 0)

// A state is what the model knows of one operation.
type state struct {
	record refrain.Record // its Fence is zero if it was given to a claim whose answer was lost
	floor  uint64         // the greatest fence that anybody saw
}

// model is the sequential specification of a store: the pure functions of package refrain, for each operation by itself.
// A call whose answer was lost may have taken effect, also later, or not.
func model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{}} },
		Step: func(s, in, out any) []any {
			var next []any
			for _, n := range step(s.(state), in.(*storetest.Op)) {
				next = append(next, n)
			}
			return next
		},
		DescribeOperation: func(in, _ any) string { return describe(in.(*storetest.Op)) },
		DescribeState:     func(s any) string { return fmt.Sprintf("%v fence %d", s.(state).record.State, s.(state).record.Fence) },
	}
	return m.ToModel()
}

// step returns the states that are possible after the call.
func step(s state, op *storetest.Op) []state {
	var next state
	var ok bool
	switch q := op.Request.(type) {
	case refrain.Claim:
		next, ok = s.claim(q, op)
	case refrain.Settlement:
		next, ok = s.settle(q, op)
	case refrain.Renewal:
		next, ok = s.renew(q, op)
	case storetest.Get:
		next, ok = s.see(s.record.At(epoch), op.Record)
	}
	if op.Ambiguous() {
		return []state{s, next}
	}
	if !ok {
		return nil
	}
	return []state{next}
}

func (s state) claim(c refrain.Claim, op *storetest.Op) (state, bool) {
	d, written := c.Apply(s.record, epoch, 0)
	if written {
		if op.Ambiguous() {
			return state{record: d.Record, floor: s.floor}, true
		}
		s.record, s.record.Fence = d.Record, op.Decision.Record.Fence
		if s.record.Fence <= s.floor {
			return s, false
		}
		s.floor, d.Record.Fence = s.record.Fence, s.record.Fence
	}
	if op.Ambiguous() {
		return s, true
	}
	next, ok := s.see(d.Record, op.Decision.Record)
	return next, ok && d.Verdict == op.Decision.Verdict
}

func (s state) settle(e refrain.Settlement, op *storetest.Op) (state, bool) {
	after, written, err := e.Apply(s.record, epoch)
	if err != nil {
		return s, errors.Is(op.Err, err)
	}
	if written {
		s.record = after
	}
	if op.Ambiguous() {
		return s, true
	}
	if op.Record.State != after.State {
		after = after.At(epoch) // a store may answer with the record as of now
	}
	next, ok := s.see(after, op.Record)
	return next, ok && op.Err == nil
}

func (s state) renew(r refrain.Renewal, op *storetest.Op) (state, bool) {
	after, err := r.Apply(s.record, epoch)
	if err != nil {
		return s, errors.Is(op.Err, err)
	}
	s.record = after
	return s, op.Err == nil
}

// see compares a record with what somebody saw, and learns the fence from it if nobody saw it before.
func (s state) see(want, got refrain.Record) (state, bool) {
	if want.State != refrain.StateAbsent && want.Fence == 0 && got.Fence > s.floor {
		s.record.Fence, s.floor, want.Fence = got.Fence, got.Fence, got.Fence
	}
	return s, want.State == got.State && want.Token == got.Token && want.Fence == got.Fence &&
		want.Fingerprint == got.Fingerprint && sameOutcome(want.Outcome, got.Outcome)
}

func sameOutcome(a, b *refrain.Outcome) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Status == b.Status && slices.Equal(a.Body, b.Body)
}

// partition divides a history by operation, which is sound, for operations do not touch each other.
func partition(ops []storetest.Op) [][]porcupine.Operation {
	byID := make(map[refrain.ID][]porcupine.Operation)
	for i := range ops {
		op := &ops[i]
		p := porcupine.Operation{ClientId: op.Client, Input: op, Call: int64(op.Call), Return: int64(op.Return)}
		if op.Ambiguous() {
			p.Return = math.MaxInt64 // it may take effect at any later time
		}
		byID[op.ID] = append(byID[op.ID], p)
	}
	parts := make([][]porcupine.Operation, 0, len(byID))
	for _, p := range byID {
		parts = append(parts, p)
	}
	return parts
}

// overlaps counts the calls that began before another call on the same operation had returned.
func overlaps(ops []storetest.Op) (n int) {
	for _, part := range partition(ops) {
		slices.SortFunc(part, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
		var latest int64
		for _, p := range part {
			if p.Call < latest {
				n++
			}
			latest = max(latest, int64(p.Input.(*storetest.Op).Return))
		}
	}
	return n
}

func describe(op *storetest.Op) string {
	switch q := op.Request.(type) {
	case refrain.Claim:
		return fmt.Sprintf("claim %x fp %d rerun %v lease %v -> %v %s, %v", q.Token[:2], q.Fingerprint[0], q.Rerun, q.Lease,
			op.Decision.Verdict, describeRecord(op.Decision.Record), op.Err)
	case refrain.Settlement:
		return fmt.Sprintf("settle %x %v for %v+%v -> %s, %v", q.Token[:2], q.Ending, q.Retention, q.Tombstone,
			describeRecord(op.Record), op.Err)
	case refrain.Renewal:
		return fmt.Sprintf("renew %x by %v -> %v", q.Token[:2], q.Lease, op.Err)
	}
	return fmt.Sprintf("get -> %s, %v", describeRecord(op.Record), op.Err)
}

func describeRecord(r refrain.Record) string {
	return fmt.Sprintf("%v %x fence %d outcome %v", r.State, r.Token[:2], r.Fence, r.Outcome)
}
