package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/refrain-dev/refrain"
)

// crowd is how many goroutines race.
const crowd = 64

// raceCases test that concurrent transitions of one operation happen one after the other.
var raceCases = []testCase{
	{"one of many claims runs", func(x *subject) {
		for range 20 {
			y := x.other()
			y.wantOneRun(y.request, refrain.InFlight)
		}
	}},
	{"one of many reruns takes over", func(x *subject) {
		for range 20 {
			y := x.other()
			y.settle(undecided(y.running(), nil), nil)
			y.wantOneRun(y.rerun, refrain.InFlight)
		}
	}},
	{"one of many fingerprints runs", func(x *subject) {
		for range 20 {
			y := x.other()
			y.wantOneRun(func() refrain.Claim {
				c := y.request()
				copy(c.Fingerprint[:], c.Token[:])
				return c
			}, refrain.Mismatch)
		}
	}},
	{"a repeated claim is one claim", func(x *subject) {
		c := x.request()
		fences := make([]uint64, crowd)
		x.together(func(ctx context.Context, i int) error {
			d, err := x.s.Claim(ctx, c)
			if err == nil && d.Verdict != refrain.Run {
				err = fmt.Errorf("got verdict %v, want %v", d.Verdict, refrain.Run)
			}
			fences[i] = d.Record.Fence
			return err
		})
		for _, f := range fences {
			if f != fences[0] {
				x.t.Fatalf("got fences %d and %d, want one claim", f, fences[0])
			}
		}
	}},
	{"the first of many finishes stands for all", func(x *subject) {
		for range 5 {
			y := x.other()
			token := y.running()
			bodies := make([]string, crowd)
			y.together(func(ctx context.Context, i int) error {
				s := finish(token, fmt.Sprint("outcome ", i))
				s.ID = y.id
				r, err := y.s.Settle(ctx, s)
				if err == nil {
					bodies[i] = string(r.Outcome.Body)
				}
				return err
			})
			for _, b := range bodies {
				y.wantOutcome(y.get(refrain.StateDone), outcome(b))
			}
		}
	}},
	{"an operation ends one way", testFinishAgainstRelease},
	{"a late finish and a takeover exclude each other", testFinishAgainstTakeover},
	{"a reader sees states in their order", testReaders},
	{"operations do not disturb each other", func(x *subject) {
		all := make([]*subject, crowd)
		for i := range all {
			all[i] = x.other()
		}
		x.together(func(ctx context.Context, i int) error {
			for n := range 10 {
				if err := all[i].cycle(ctx, fmt.Sprint(i, " ", n), n < 9); err != nil {
					return err
				}
			}
			return nil
		})
		for i, y := range all {
			y.wantOutcome(y.get(refrain.StateDone), outcome(fmt.Sprint(i, " ", 9)))
		}
	}},
}

// together calls f from many goroutines at once and fails the test with their errors.
func (x *subject) together(f func(ctx context.Context, i int) error) {
	x.t.Helper()
	ctx := x.ctx()
	start := make(chan struct{})
	errs := make([]error, crowd)
	var all sync.WaitGroup
	for i := range crowd {
		all.Go(func() {
			<-start
			errs[i] = f(ctx, i)
		})
	}
	close(start)
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		x.t.Fatal(err)
	}
}

// wantOneRun makes many claims at once and wants one to run and the others to get the verdict.
func (x *subject) wantOneRun(request func() refrain.Claim, others refrain.Verdict) {
	x.t.Helper()
	verdicts := make([]refrain.Verdict, crowd)
	x.together(func(ctx context.Context, i int) error {
		d, err := x.s.Claim(ctx, request())
		verdicts[i] = d.Verdict
		return err
	})
	counts := map[refrain.Verdict]int{}
	for _, v := range verdicts {
		counts[v]++
	}
	if counts[refrain.Run] != 1 || counts[others] != crowd-1 {
		x.t.Fatalf("got verdicts %v of %d claims, want 1 %v and else %v", counts, crowd, refrain.Run, others)
	}
}

// cycle claims the operation and ends it, by a release or for good.
func (x *subject) cycle(ctx context.Context, body string, again bool) error {
	c := x.request()
	d, err := x.s.Claim(ctx, c)
	if err != nil || d.Verdict != refrain.Run {
		return fmt.Errorf("claim: verdict %v, error %w", d.Verdict, err)
	}
	s := finish(c.Token, body)
	if again {
		s = release(c.Token)
	}
	s.ID = x.id
	_, err = x.s.Settle(ctx, s)
	return err
}

func testFinishAgainstRelease(x *subject) {
	for range 10 {
		y := x.other()
		token := y.running()
		errs := make([]error, crowd)
		y.together(func(ctx context.Context, i int) error {
			s := finish(token, "paid")
			if i%2 == 0 {
				s = release(token)
			}
			s.ID = y.id
			_, errs[i] = y.s.Settle(ctx, s)
			return nil
		})
		r, err := y.s.Get(y.ctx(), y.id)
		if err != nil {
			y.t.Fatalf("Get: %v", err)
		}
		released := 0
		for i, err := range errs {
			switch finishes := i%2 == 1; {
			case err == nil && !finishes:
				released++
			case err != nil && !errors.Is(err, refrain.ErrStale):
				y.t.Fatalf("Settle: %v", err)
			case finishes && (err == nil) != (r.State == refrain.StateDone):
				y.t.Fatalf("Settle finished: got error %v, while the record ended as %s", err, describe(r))
			}
		}
		if want := map[refrain.State]int{refrain.StateAbsent: 1}[r.State]; released != want {
			y.t.Fatalf("got %d releases, want %d, for the record ended as %s", released, want, describe(r))
		}
	}
}

func testFinishAgainstTakeover(x *subject) {
	for range 20 {
		y := x.other()
		token := y.running()
		y.settle(undecided(token, nil), nil)
		var late error
		verdicts := make([]refrain.Verdict, crowd)
		y.together(func(ctx context.Context, i int) error {
			if i == crowd/2 {
				s := finish(token, "late")
				s.ID = y.id
				_, late = y.s.Settle(ctx, s)
				return nil
			}
			d, err := y.s.Claim(ctx, y.rerun())
			verdicts[i] = d.Verdict
			return err
		})
		counts := map[refrain.Verdict]int{}
		for _, v := range verdicts {
			counts[v]++
		}
		switch {
		case late == nil && counts[refrain.Replay] == crowd-1:
		case errors.Is(late, refrain.ErrStale) && counts[refrain.Run] == 1 && counts[refrain.InFlight] == crowd-2:
		default:
			y.t.Fatalf("got error %v of the late finish and verdicts %v, want one or the other to win", late, counts)
		}
	}
}

// testReaders checks that nobody sees an operation go back.
func testReaders(x *subject) {
	for range 10 {
		y := x.other()
		c := y.request()
		y.together(func(ctx context.Context, i int) error {
			if i == 0 {
				if _, err := y.s.Claim(ctx, c); err != nil {
					return err
				}
				s := finish(c.Token, "paid")
				s.ID = y.id
				_, err := y.s.Settle(ctx, s)
				return err
			}
			last := refrain.StateAbsent
			for last != refrain.StateDone {
				r, err := y.s.Get(ctx, y.id)
				if err != nil {
					return err
				}
				if r.State < last {
					return fmt.Errorf("got a record %v after it was %v", r.State, last)
				}
				last = r.State
			}
			return nil
		})
	}
}
