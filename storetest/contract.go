package storetest

import (
	"fmt"

	"github.com/refrain-dev/refrain"
)

// contractCases are the verdicts and endings, one operation each.
var contractCases = []testCase{
	{"a new operation runs", func(x *subject) {
		x.get(refrain.StateAbsent)
		d := x.run()
		if r := x.get(refrain.StateRunning); r.Token != d.Record.Token || r.Fence != d.Record.Fence {
			x.t.Errorf("Get: got %s, want %s", describe(r), describe(d.Record))
		}
	}},
	{"a duplicate is in flight", func(x *subject) {
		first := x.run()
		x.unchanged(func() {
			d := x.claim(x.request(), refrain.InFlight)
			if d.Record.Token != first.Record.Token {
				x.t.Errorf("got %s, want the record of the first claim", describe(d.Record))
			}
		})
	}},
	{"a finished operation replays", func(x *subject) {
		x.done("paid")
		x.unchanged(func() {
			x.wantOutcome(x.claim(x.request(), refrain.Replay).Record, outcome("paid"))
			x.wantOutcome(x.get(refrain.StateDone), outcome("paid"))
		})
	}},
	{"an undecided operation is unknown", func(x *subject) {
		x.settle(undecided(x.running(), nil), nil)
		x.unchanged(func() { x.wantOutcome(x.claim(x.request(), refrain.Unknown).Record, nil) })
	}},
	{"an undecided operation keeps its answer", func(x *subject) {
		x.wantOutcome(x.settle(undecided(x.running(), outcome("503")), nil), outcome("503"))
		x.unchanged(func() { x.wantOutcome(x.claim(x.request(), refrain.Unknown).Record, outcome("503")) })
	}},
	{"an unknown operation can finish", func(x *subject) {
		token := x.running()
		x.settle(undecided(token, outcome("503")), nil)
		x.wantOutcome(x.settle(finish(token, "paid"), nil), outcome("paid"))
		x.wantOutcome(x.claim(x.request(), refrain.Replay).Record, outcome("paid"))
	}},
	{"an unknown operation can be released", func(x *subject) {
		token := x.running()
		x.settle(undecided(token, nil), nil)
		x.settle(release(token), nil)
		x.run()
	}},
	{"an unknown operation is taken over by a rerun only", func(x *subject) {
		first := x.run()
		x.settle(undecided(first.Record.Token, outcome("503")), nil)
		x.claim(x.request(), refrain.Unknown)
		d := x.claim(x.rerun(), refrain.Run)
		if d.Record.Fence <= first.Record.Fence {
			x.t.Errorf("got fence %d after %d, want a greater one", d.Record.Fence, first.Record.Fence)
		}
		x.claim(x.request(), refrain.InFlight)
	}},
	{"a rerun takes over nothing but the unknown", func(x *subject) {
		token := x.running()
		x.claim(x.rerun(), refrain.InFlight)
		x.settle(finish(token, "paid"), nil)
		x.unchanged(func() { x.claim(x.rerun(), refrain.Replay) })
	}},
	{"a release forgets", func(x *subject) {
		x.settle(release(x.running()), nil)
		x.get(refrain.StateAbsent)
		x.other().claimAs(x, refrain.Run) // also with another fingerprint
	}},
	{"fences grow across releases", func(x *subject) {
		var last uint64
		for range 5 {
			d := x.run()
			if d.Record.Fence <= last {
				x.t.Fatalf("got fence %d after %d, want a greater one", d.Record.Fence, last)
			}
			last = d.Record.Fence
			x.settle(release(d.Record.Token), nil)
		}
	}},
	{"a mismatch comes first and changes nothing", func(x *subject) {
		token := x.running()
		mismatch := func() {
			x.t.Helper()
			x.unchanged(func() { x.other().claimAs(x, refrain.Mismatch) })
		}
		mismatch() // in flight
		x.settle(undecided(token, outcome("503")), nil)
		mismatch() // unknown
		x.settle(finish(token, "paid"), nil)
		mismatch() // done
	}},
	{"the first finish stands", func(x *subject) {
		token := x.done("first")
		x.unchanged(func() {
			x.wantOutcome(x.settle(finish(token, "second"), nil), outcome("first"))
			x.settle(release(token), refrain.ErrStale)
			x.settle(undecided(token, outcome("503")), refrain.ErrStale)
		})
	}},
	{"neighbours do not meet", func(x *subject) {
		x.done("mine")
		for i := range 8 * len(x.id) {
			n := *x
			n.id[i/8] ^= 1 << (i % 8)
			n.get(refrain.StateAbsent)
			if i%16 == 0 {
				n.done(fmt.Sprint("neighbour ", i))
			}
		}
		x.wantOutcome(x.get(refrain.StateDone), outcome("mine"))
	}},
}

// rerun returns a claim that may take over an unknown operation.
func (x *subject) rerun() refrain.Claim {
	c := x.request()
	c.Rerun = true
	return c
}

// claimAs claims the operation of y with the fingerprint of x, once with and once without permission to rerun.
func (x *subject) claimAs(y *subject, want refrain.Verdict) {
	x.t.Helper()
	x.id = y.id
	d := x.claim(x.rerun(), want)
	if want == refrain.Run {
		x.settle(release(d.Record.Token), nil)
	}
	x.claim(x.request(), want)
}

// describe says what a failed test needs to know of a record.
func describe(r refrain.Record) string {
	s := fmt.Sprintf("%v record, token %x, fence %d", r.State, r.Token[:4], r.Fence)
	if o := r.Outcome; o != nil {
		s += fmt.Sprintf(", outcome %d with %d+%d bytes", o.Status, len(o.Meta), len(o.Body))
		if len(o.Body) <= 40 {
			s += fmt.Sprintf(" %q", o.Body)
		}
	}
	return s
}
