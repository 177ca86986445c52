package storetest

import (
	"math"

	"github.com/refrain-dev/refrain"
)

// expiryCases test the two stages of forgetting.
var expiryCases = []testCase{
	{"after the retention there is a tombstone", func(x *subject) {
		token := x.running()
		s := finish(token, "paid")
		s.Retention = short
		x.settle(s, nil)
		x.becomesTombstone()
		x.unchanged(func() {
			x.claim(x.rerun(), refrain.Expired)
			x.other().claimAs(x, refrain.Mismatch)
			x.renew(token, refrain.ErrStale)
			x.settle(release(token), refrain.ErrStale)
			x.settle(undecided(token, nil), refrain.ErrStale)
			if r := x.settle(finish(token, "again"), nil); r.State != refrain.StateExpired || r.Outcome != nil {
				x.t.Errorf("a repeated finish: got %s, want the tombstone", describe(r))
			}
		})
	}},
	{"after the tombstone the key is new", func(x *subject) {
		d := x.run()
		s := finish(d.Record.Token, "paid")
		s.Retention, s.Tombstone = short, short
		x.settle(s, nil)
		x.await(refrain.StateAbsent)
		x.refuses(d.Record.Token)
		if next := x.run(); next.Record.Fence <= d.Record.Fence {
			x.t.Errorf("got fence %d after %d, want a greater one", next.Record.Fence, d.Record.Fence)
		}
	}},
	{"without a tombstone the key is new after the retention", func(x *subject) {
		d := x.run()
		s := finish(d.Record.Token, "paid")
		s.Retention, s.Tombstone = short, 0
		x.settle(s, nil)
		x.await(refrain.StateAbsent)
		if next := x.run(); next.Record.Fence <= d.Record.Fence {
			x.t.Errorf("got fence %d after %d, want a greater one", next.Record.Fence, d.Record.Fence)
		}
	}},
	{"the life after the tombstone is its own", func(x *subject) {
		s := finish(x.running(), "first")
		s.Retention, s.Tombstone = short, short
		x.settle(s, nil)
		x.await(refrain.StateAbsent)
		x.done("second") // what was due for the first life must not end the second
		for range 3 {
			o := x.other() // gives the store occasion to clean up
			s := finish(o.running(), "other")
			s.Retention, s.Tombstone = short, 0
			o.settle(s, nil)
			o.await(refrain.StateAbsent)
			x.wantOutcome(x.claim(x.request(), refrain.Replay).Record, outcome("second"))
		}
	}},
	{"what is kept for ever", func(x *subject) {
		c := x.request()
		c.Lease = math.MaxInt64
		x.claim(c, refrain.Run)
		s := finish(c.Token, "paid")
		s.Retention, s.Tombstone = math.MaxInt64, math.MaxInt64
		x.settle(s, nil)
		x.unchanged(func() {
			x.wantOutcome(x.claim(x.request(), refrain.Replay).Record, outcome("paid"))
			x.settle(s, nil)
		})
	}},
	{"nothing else expires", func(x *subject) {
		running, unknown, done := x.other(), x.other(), x.other()
		running.run()
		unknown.settle(undecided(unknown.running(), outcome("503")), nil)
		done.done("kept")
		s := finish(x.running(), "paid")
		s.Retention, s.Tombstone = short, short
		x.settle(s, nil)
		x.await(refrain.StateAbsent)
		running.get(refrain.StateRunning)
		unknown.wantOutcome(unknown.get(refrain.StateUnknown), outcome("503"))
		done.wantOutcome(done.get(refrain.StateDone), outcome("kept"))
	}},
}

// becomesTombstone claims until the outcome is no longer replayed; the operation must not run meanwhile.
func (x *subject) becomesTombstone() {
	x.t.Helper()
	eventually(x.t, "the retention to end", func() bool {
		d, err := x.s.Claim(x.ctx(), x.request())
		if err != nil {
			x.t.Fatalf("Claim: %v", err)
		}
		if d.Verdict != refrain.Replay && d.Verdict != refrain.Expired {
			x.t.Fatalf("got verdict %v, want %v and then %v", d.Verdict, refrain.Replay, refrain.Expired)
		}
		return d.Verdict == refrain.Expired
	})
	if r := x.get(refrain.StateExpired); r.Outcome != nil {
		x.t.Errorf("got %s, want a tombstone without an outcome", describe(r))
	}
}
