package storetest

import (
	"github.com/refrain-dev/refrain"
)

// tokenCases test that a claim recognises its owner and nobody else.
var tokenCases = []testCase{
	{"a repeated claim recognises itself", func(x *subject) {
		c := x.request()
		first := x.claim(c, refrain.Run)
		x.unchanged(func() {
			again := x.claim(c, refrain.Run)
			if again.Record.Fence != first.Record.Fence || !again.Record.Created.Equal(first.Record.Created) {
				x.t.Errorf("got %s, want the first claim's %s", describe(again.Record), describe(first.Record))
			}
		})
		x.settle(finish(c.Token, "paid"), nil)
		x.claim(c, refrain.Replay)
	}},
	{"an absent operation knows no token", func(x *subject) {
		x.refuses(refrain.NewToken())
		x.get(refrain.StateAbsent)
	}},
	{"a running operation knows the newest token only", func(x *subject) {
		x.run()
		x.refuses(refrain.NewToken())
	}},
	{"a taken over token is stale", func(x *subject) {
		old := x.running()
		x.settle(undecided(old, nil), nil)
		next := x.claim(x.rerun(), refrain.Run)
		x.refuses(old)
		x.settle(finish(next.Record.Token, "paid"), nil)
		x.refuses(old)
	}},
	{"a released token is stale", func(x *subject) {
		old := x.running()
		x.settle(release(old), nil)
		x.refuses(old)
		x.run()
		x.refuses(old)
	}},
	{"an unknown operation knows the newest token only", func(x *subject) {
		token := x.running()
		x.settle(undecided(token, outcome("503")), nil)
		x.refuses(refrain.NewToken())
		x.unchanged(func() { x.renew(token, refrain.ErrStale) }) // it ended: only a lapsed claim can come back
	}},
	{"a finished operation knows the newest token only", func(x *subject) {
		token := x.done("paid")
		x.refuses(refrain.NewToken())
		x.unchanged(func() { x.renew(token, refrain.ErrStale) })
	}},
	{"a renewal needs the token", func(x *subject) {
		token := x.running()
		before := x.get(refrain.StateRunning)
		x.renew(token, nil)
		after := x.get(refrain.StateRunning)
		if after.Lease.Before(before.Lease) || after.Fence != before.Fence || after.Token != token {
			x.t.Errorf("got %s until %v, want the claim as before and a lease after %v", describe(after), after.Lease, before.Lease)
		}
	}},
}

// insteadCases test what a probe or an operator can do who was shown an operation.
var insteadCases = []testCase{
	{"whoever found out finishes what is unknown", func(x *subject) {
		owner := x.running()
		x.settle(undecided(owner, outcome("503")), nil)
		s := instead(finish(owner, "found"))
		x.wantOutcome(x.settle(s, nil), outcome("found"))
		x.unchanged(func() {
			if r := x.settle(s, nil); r.Token != s.Instead { // repeated, it recognises itself
				x.t.Errorf("got %s, want it with the token %x", describe(r), s.Instead[:4])
			}
		})
		x.wantOutcome(x.claim(x.request(), refrain.Replay).Record, outcome("found"))
		x.refuses(owner)
	}},
	{"whoever found out finishes what has lapsed", func(x *subject) {
		owner := x.lapsed().Record.Token
		x.settle(instead(finish(owner, "found")), nil)
		x.refuses(owner)
		x.wantOutcome(x.claim(x.request(), refrain.Replay).Record, outcome("found"))
	}},
	{"whoever found out releases what is unknown", func(x *subject) {
		first := x.lapsed().Record
		x.settle(instead(release(first.Token)), nil)
		x.refuses(first.Token)
		if d := x.run(); d.Record.Fence <= first.Fence {
			x.t.Errorf("got fence %d after %d, want a greater one", d.Record.Fence, first.Fence)
		}
	}},
	{"nobody settles instead of a living owner", func(x *subject) {
		owner := x.running()
		x.refusesInstead(owner)
		x.renew(owner, nil)
		x.settle(finish(owner, "paid"), nil)
	}},
	{"nobody overrules an outcome", func(x *subject) { x.refusesInstead(x.done("paid")) }},
	{"nobody settles a claim that was not shown", func(x *subject) {
		old := x.running()
		x.settle(undecided(old, nil), nil)
		next := x.claim(x.rerun(), refrain.Run).Record.Token
		x.settle(undecided(next, nil), nil)
		x.refusesInstead(old)
		x.refusesInstead(refrain.Token{})
	}},
	{"what is done can be forgotten", func(x *subject) {
		first := x.run().Record
		x.settle(finish(first.Token, "paid"), nil)
		x.settle(forget(first.Token), nil)
		x.get(refrain.StateAbsent)
		x.refuses(first.Token)
		if d := x.run(); d.Record.Fence <= first.Fence {
			x.t.Errorf("got fence %d after %d, want a greater one", d.Record.Fence, first.Fence)
		}
	}},
	{"what is not done cannot be forgotten", func(x *subject) {
		token := x.running()
		forgets := func() {
			x.t.Helper()
			x.unchanged(func() { x.settle(forget(token), refrain.ErrStale) })
		}
		forgets()
		x.settle(undecided(token, outcome("503")), nil)
		forgets()
	}},
	{"forgetting needs the token", func(x *subject) {
		x.done("paid")
		x.unchanged(func() {
			x.settle(forget(refrain.NewToken()), refrain.ErrStale)
			x.settle(forget(refrain.Token{}), refrain.ErrStale)
		})
	}},
}

// refusesInstead checks that nobody can settle instead of the token's owner, and that trying changes nothing.
func (x *subject) refusesInstead(owner refrain.Token) {
	x.t.Helper()
	x.unchanged(func() {
		x.t.Helper()
		x.settle(instead(finish(owner, "forged")), refrain.ErrStale)
		x.settle(instead(release(owner)), refrain.ErrStale)
	})
}

func instead(s refrain.Settlement) refrain.Settlement {
	s.Instead = refrain.NewToken()
	return s
}

func forget(token refrain.Token) refrain.Settlement {
	return refrain.Settlement{Token: token, Ending: refrain.Forgotten}
}

// refuses checks that nothing can be done with the token, nor with the zero token, and that trying changes nothing.
func (x *subject) refuses(stale refrain.Token) {
	x.t.Helper()
	for _, token := range []refrain.Token{stale, {}} {
		x.unchanged(func() {
			x.t.Helper()
			x.settle(finish(token, "forged"), refrain.ErrStale)
			x.settle(release(token), refrain.ErrStale)
			x.settle(forget(token), refrain.ErrStale)
			x.settle(undecided(token, outcome("forged")), refrain.ErrStale)
			x.renew(token, refrain.ErrStale)
		})
	}
}

// leaseCases test what a lapsed lease allows and what it does not.
var leaseCases = []testCase{
	{"a lapsed claim is unknown and not run", func(x *subject) {
		x.lapsed()
		x.claim(x.request(), refrain.Unknown)
		x.other().claimAs(x, refrain.Mismatch)
	}},
	{"a late finish is welcome", func(x *subject) {
		token := x.lapsed().Record.Token
		x.claim(x.request(), refrain.Unknown)
		x.wantOutcome(x.settle(finish(token, "late"), nil), outcome("late"))
		x.wantOutcome(x.claim(x.request(), refrain.Replay).Record, outcome("late"))
	}},
	{"a late release is welcome", func(x *subject) {
		d := x.lapsed()
		x.settle(release(d.Record.Token), nil)
		if next := x.run(); next.Record.Fence <= d.Record.Fence {
			x.t.Errorf("got fence %d after %d, want a greater one", next.Record.Fence, d.Record.Fence)
		}
	}},
	{"a late verdict of unknown is welcome", func(x *subject) {
		token := x.lapsed().Record.Token
		x.settle(undecided(token, outcome("503")), nil)
		x.wantOutcome(x.claim(x.request(), refrain.Unknown).Record, outcome("503"))
	}},
	{"a renewal brings a lapsed claim back", func(x *subject) {
		token := x.lapsed().Record.Token
		x.renew(token, nil)
		x.claim(x.request(), refrain.InFlight)
		x.settle(finish(token, "paid"), nil)
	}},
	{"a rerun takes a lapsed claim over", func(x *subject) {
		old := x.lapsed()
		d := x.claim(x.rerun(), refrain.Run)
		if d.Record.Fence <= old.Record.Fence {
			x.t.Errorf("got fence %d after %d, want a greater one", d.Record.Fence, old.Record.Fence)
		}
		x.refuses(old.Record.Token)
		x.claim(x.rerun(), refrain.InFlight)
		x.settle(finish(d.Record.Token, "second"), nil)
		x.wantOutcome(x.claim(x.request(), refrain.Replay).Record, outcome("second"))
	}},
}
