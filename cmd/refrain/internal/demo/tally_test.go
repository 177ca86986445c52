package demo

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/payments"
)

func operations(n int) []operation {
	return plan(n, 1)
}

func paid(id string) payments.Result {
	return payments.Result{Kind: payments.Paid, Status: 201, Body: fmt.Appendf(nil, `{"id":%q}`, id)}
}

func ended(k payments.Kind) payments.Result { return payments.Result{Kind: k} }

func charge(n int, id string) payments.Charge {
	return payments.Charge{ID: id, Order: payments.Order{Reference: fmt.Sprintf("order-%04d", n)}}
}

func TestTallySetsWhatWasToldAgainstTheLedger(t *testing.T) {
	t.Parallel()
	type charges = []payments.Charge
	for name, c := range map[string]struct {
		told    heard
		charges charges
		want    Tally
		breaks  string // empty: nothing is broken
	}{
		"paid once": {heard{paid("a")}, charges{charge(1, "a")}, Tally{Charged: 1, Paid: 1}, ""},
		"paid and replayed": {
			heard{paid("a"), paid("a")},
			charges{charge(1, "a")},
			Tally{Charged: 1, Paid: 1, AnswersCompared: 1, AnswersEqual: 1},
			"",
		},
		"charged twice": {
			heard{paid("a")},
			charges{charge(1, "a"), charge(1, "b")},
			Tally{Charged: 2, Paid: 1, Duplicates: 1},
			"1 charges beyond the first",
		},
		"charged thrice, three answers": {
			heard{paid("a"), paid("b"), paid("c")},
			charges{charge(1, "a"), charge(1, "b"), charge(1, "c")},
			Tally{Charged: 3, Paid: 1, Duplicates: 2, AnswersCompared: 1},
			"1 operations whose answers differ",
		},
		"lost": {heard{paid("a")}, nil, Tally{Paid: 1, Lost: 1}, "1 operations whose client was told of a charge"},
		"told of another's charge": {
			heard{paid("z")},
			charges{charge(1, "a")},
			Tally{Charged: 1, Paid: 1, Lost: 1},
			"does not have",
		},
		"a success without a charge in it": {
			heard{{Kind: payments.Paid, Status: 200, Body: []byte("ok")}},
			charges{charge(1, "a")},
			Tally{Charged: 1, Paid: 1, Lost: 1},
			"does not have",
		},
		"unknown, charged": {
			heard{ended(payments.Unknown)},
			charges{charge(1, "a")},
			Tally{Charged: 1, Unknown: 1, UnknownCharged: 1},
			"",
		},
		"unknown, not charged": {heard{ended(payments.Unknown)}, nil, Tally{Unknown: 1, UnknownNotCharged: 1}, ""},
		"unknown, charged twice": {
			heard{ended(payments.Unknown)},
			charges{charge(1, "a"), charge(1, "b")},
			Tally{Charged: 2, Unknown: 1, UnknownCharged: 1, Duplicates: 1},
			"1 charges beyond the first",
		},
		"one client knows": {
			heard{ended(payments.Unanswered), ended(payments.Unknown), paid("a")},
			charges{charge(1, "a")},
			Tally{Charged: 1, Paid: 1},
			"",
		},
		"refused": {heard{ended(payments.Refused)}, nil, Tally{Refused: 1}, ""},
		"refused, but charged": {
			heard{ended(payments.Refused)},
			charges{charge(1, "a")},
			Tally{Charged: 1, Refused: 1, Misreported: 1},
			"told that they were not",
		},
		"neither charged nor reported": {
			heard{ended(payments.Unanswered)},
			nil,
			Tally{Unanswered: 1, Unreported: 1},
			"1 operations neither charged nor reported",
		},
		"charged, but unanswered": {
			heard{ended(payments.Unanswered)},
			charges{charge(1, "a")},
			Tally{Charged: 1, Unanswered: 1},
			"",
		},
		"charged what nobody ordered": {
			heard{paid("a")},
			charges{charge(1, "a"), {ID: "b", Order: payments.Order{Reference: "nobody"}}},
			Tally{Charged: 2, Paid: 1, Duplicates: 1},
			"1 charges beyond the first",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Two more operations that went well, so that most succeed.
			told := []heard{c.told, {paid("x")}, {paid("y")}}
			all := append(charges{charge(2, "x"), charge(3, "y")}, c.charges...)
			c.want.Intended, c.want.Charged, c.want.Paid = 3, c.want.Charged+2, c.want.Paid+2
			got := count(operations(3), told, all)
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			checkErr(t, reportOf(got), c.breaks)
		})
	}
}

// reportOf returns a report in which everything is right but for what the tally behind Refrain says.
func reportOf(behind Tally) *Report {
	landed := Faults{RequestsSent: 9, AnswersCut: 2, GaveUp: 1, Outages: 1, InFlight: 3}
	behind.Faults, behind.DuplicatesSent = landed, 5
	return &Report{Bare: Tally{Duplicates: 4, DuplicatesSent: 5, Faults: landed}, Refrain: behind}
}

func checkErr(t *testing.T, r *Report, breaks string) {
	t.Helper()
	err := r.Err()
	switch {
	case breaks == "" && err != nil:
		t.Errorf("got error %v, want none", err)
	case breaks != "" && (!errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), breaks)):
		t.Errorf("got error %v, want ErrBroken with %q", err, breaks)
	}
}

func TestACalmRunProvesNothing(t *testing.T) {
	t.Parallel()
	good := Tally{Intended: 2, Charged: 2, Paid: 2}
	checkErr(t, reportOf(good), "")
	for want, calm := range map[string]func(*Report){
		"through Refrain no answer was cut":                                 func(r *Report) { r.Refrain.Faults.AnswersCut = 0 },
		"through Refrain no client was impatient":                           func(r *Report) { r.Refrain.Faults.GaveUp = 0 },
		"through Refrain no duplicate was sent":                             func(r *Report) { r.Refrain.DuplicatesSent = 0 },
		"through Refrain there was no outage":                               func(r *Report) { r.Refrain.Faults.Outages = 0 },
		"through Refrain nothing was in flight at the outage":               func(r *Report) { r.Refrain.Faults.InFlight = 0 },
		"in the bare run nothing was in flight at the outage":               func(r *Report) { r.Bare.Faults.InFlight = 0 },
		"the bare run charged nothing twice":                                func(r *Report) { r.Bare.Duplicates = 0 },
		"only 0 of 2 operations succeeded":                                  func(r *Report) { r.Refrain.Paid = 0 },
		"in the bare run no answer was cut; in the bare run no client was ": func(r *Report) { r.Bare.Faults = Faults{} },
	} {
		r := reportOf(good)
		calm(r)
		checkErr(t, r, want)
	}
}

func TestLatencyIsTheMedianAndThe99thPercentile(t *testing.T) {
	t.Parallel()
	var all []time.Duration
	for i := range 101 {
		all = append(all, time.Duration(100-i)*time.Millisecond)
	}
	if got, want := latencyOf(all), (Latency{Count: 101, P50: 50, P99: 99}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := latencyOf(nil); got != (Latency{}) {
		t.Errorf("got %+v of nothing, want zero", got)
	}
}
