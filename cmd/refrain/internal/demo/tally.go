package demo

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/payments"
)

// A Tally sets what the clients of a storm were told against the ledger.
type Tally struct {
	// Intended counts the operations, Charged the charges in the ledger, Duplicates those beyond an operation's first.
	Intended   int `json:"intended"`
	Charged    int `json:"charged"`
	Duplicates int `json:"duplicates"`
	// Lost counts operations whose client was told of a charge that the ledger does not have.
	Lost int `json:"lost"`
	// Unknown counts operations whose clients were told, honestly, that nobody knows; the ledger tells how many of them
	// were charged and how many were not.
	Unknown           int `json:"unknown"`
	UnknownCharged    int `json:"unknown_charged"`
	UnknownNotCharged int `json:"unknown_not_charged"`
	// Paid, Refused and Unanswered count the other operations by what their clients knew in the end.
	Paid       int `json:"paid"`
	Refused    int `json:"refused"`
	Unanswered int `json:"unanswered"`
	// Unreported counts operations that were not charged and whose clients were told nothing, Misreported those that were
	// charged and whose clients were told that they were not.
	Unreported  int `json:"unreported"`
	Misreported int `json:"misreported"`
	// DuplicatesSent counts requests for an operation beyond its first, DuplicatesStopped those that charged nothing.
	DuplicatesSent    int `json:"duplicates_sent"`
	DuplicatesStopped int `json:"duplicates_stopped"`
	// AnswersCompared counts operations that were answered with success more than once, AnswersEqual those of them whose
	// answers were all the same, byte for byte.
	AnswersCompared int `json:"answers_compared"`
	AnswersEqual    int `json:"answers_equal"`

	FirstTries Latency `json:"first_tries"`
	Replays    Latency `json:"asked_again"`
	Faults     Faults  `json:"faults"`
}

// Faults is the evidence that the storm was one.
type Faults struct {
	RequestsSent int `json:"requests_sent"`
	AnswersCut   int `json:"answers_cut"` // connections cut between the request and its answer
	GaveUp       int `json:"gave_up"`     // tries that ended because the client was impatient
	Outages      int `json:"outages"`     // kills of the proxy; in the bare run, cuts of every connection
	InFlight     int `json:"in_flight"`   // requests that were in flight when the outage broke their connection
}

// Latency is the median and the 99th percentile of Count durations, in milliseconds.
type Latency struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
}

func latencyOf(all []time.Duration) Latency {
	if len(all) == 0 {
		return Latency{}
	}
	slices.Sort(all)
	at := func(percent int) float64 {
		return float64(all[(len(all)-1)*percent/100].Microseconds()) / 1000
	}
	return Latency{Count: len(all), P50: at(50), P99: at(99)}
}

// count sets what was told against the charges made.
func count(operations []operation, told []heard, charges []payments.Charge) Tally {
	made := make(map[string][]string, len(operations))
	for _, c := range charges {
		made[c.Reference] = append(made[c.Reference], c.ID)
	}
	t := Tally{Intended: len(operations), Charged: len(charges)}
	for i := range operations {
		ids := made[operations[i].order.Reference]
		delete(made, operations[i].order.Reference)
		t.Duplicates += max(0, len(ids)-1)
		t.add(told[i], ids)
	}
	for _, ids := range made { // charges that nobody ordered
		t.Duplicates += len(ids)
	}
	return t
}

// add counts one operation, whose charges are ids.
func (t *Tally) add(told heard, ids []string) {
	charged := len(ids) > 0
	switch told.kind() {
	case payments.Paid:
		t.Paid++
		t.Lost += one(told.lost(ids))
	case payments.Unknown:
		t.Unknown++
		t.UnknownCharged += one(charged)
		t.UnknownNotCharged += one(!charged)
	case payments.Refused:
		t.Refused++
		t.Misreported += one(charged)
	case payments.Unanswered:
		t.Unanswered++
		t.Unreported += one(!charged)
	}
	compared, equal := told.compare()
	t.AnswersCompared += one(compared)
	t.AnswersEqual += one(equal)
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

// kind returns what the operation's clients know together: one that was told of the charge knows, and so on.
func (h heard) kind() payments.Kind {
	for _, k := range []payments.Kind{payments.Paid, payments.Unknown, payments.Refused} {
		if slices.ContainsFunc(h, func(r payments.Result) bool { return r.Kind == k }) {
			return k
		}
	}
	return payments.Unanswered
}

// lost reports whether a client was told of a charge that is not among ids.
func (h heard) lost(ids []string) bool {
	return slices.ContainsFunc(h, func(r payments.Result) bool {
		c, err := r.Charge()
		return r.Kind == payments.Paid && (err != nil || !slices.Contains(ids, c.ID))
	})
}

// compare reports whether there are successes to compare, and whether they are the same.
func (h heard) compare() (compared, equal bool) {
	var first *payments.Result
	equal = true
	for i := range h {
		switch r := &h[i]; {
		case r.Kind != payments.Paid:
		case first == nil:
			first = r
		default:
			compared = true
			equal = equal && r.Status == first.Status && bytes.Equal(r.Body, first.Body)
		}
	}
	return compared, compared && equal
}

// broken returns the promises that the run behind Refrain broke.
func (t *Tally) broken() []string {
	var b []string
	for _, promise := range []struct {
		count int
		what  string
	}{
		{t.Duplicates, "charges beyond the first of their operation"},
		{t.Lost, "operations whose client was told of a charge that the ledger does not have"},
		{t.Unreported, "operations neither charged nor reported"},
		{t.Misreported, "operations charged though their client was told that they were not"},
		{t.AnswersCompared - t.AnswersEqual, "operations whose answers differ"},
	} {
		if promise.count > 0 {
			b = append(b, fmt.Sprintf("%d %s", promise.count, promise.what))
		}
	}
	if 2*t.Paid < t.Intended {
		b = append(b, fmt.Sprintf("only %d of %d operations succeeded", t.Paid, t.Intended))
	}
	return b
}

// missing returns the faults that did not land: a calm run proves nothing.
func (f *Faults) missing(duplicates int) []string {
	var m []string
	for _, fault := range []struct {
		count int
		what  string
	}{
		{f.AnswersCut, "no answer was cut"},
		{f.GaveUp, "no client was impatient"},
		{duplicates, "no duplicate was sent"},
		{f.Outages, "there was no outage"},
		{f.InFlight, "nothing was in flight at the outage"},
	} {
		if fault.count == 0 {
			m = append(m, fault.what)
		}
	}
	return m
}
