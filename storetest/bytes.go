package storetest

import (
	"bytes"
	"fmt"

	"github.com/refrain-dev/refrain"
)

// bytesCases test that an outcome comes back as it was.
var bytesCases = []testCase{
	{"outcomes are kept byte for byte", func(x *subject) {
		for _, o := range outcomes() {
			name := describe(refrain.Record{Outcome: &o})
			for _, ending := range []refrain.Ending{refrain.Finished, refrain.Undecided} {
				y := x.other()
				s := finish(y.running(), "")
				s.Ending, s.Outcome = ending, &o
				want := o
				want.Meta, want.Body = bytes.Clone(o.Meta), bytes.Clone(o.Body)
				y.wantOutcome(y.settle(s, nil), &want)
				y.wantOutcome(y.get(endState(ending)), &want)
				d, err := y.s.Claim(y.ctx(), y.request())
				if err != nil {
					x.t.Fatalf("Claim of %s: %v", name, err)
				}
				y.wantOutcome(d.Record, &want)
			}
		}
	}},
	{"what a reader holds does not change", func(x *subject) {
		x.done("mine")
		held := []refrain.Record{x.get(refrain.StateDone), x.claim(x.request(), refrain.Replay).Record}
		for i := range 50 {
			y := x.other()
			y.done(fmt.Sprint("other ", i))
			y.get(refrain.StateDone)
		}
		for _, r := range held {
			x.wantOutcome(r, outcome("mine"))
			_ = append(r.Outcome.Meta, "more"...)
			x.wantOutcome(r, outcome("mine"))
		}
	}},
}

// outcomes returns outcomes with every byte value and of every size that matters.
func outcomes() []refrain.Outcome {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return []refrain.Outcome{
		{},
		{Status: 204},
		{Status: 200, Meta: []byte{}, Body: []byte{}},
		{Status: 200, Body: []byte{0}},
		{Status: 200, Meta: []byte{0}},
		{Status: 599, Meta: all, Body: all},
		{Status: -1, Meta: bytes.Repeat(all, 256), Body: bytes.Repeat([]byte{0xff}, 4096)},
		{Status: 201, Meta: []byte("m"), Body: bytes.Repeat(all, 4096)},
		{Status: 200, Meta: []byte("kept"), Omitted: true},
	}
}
