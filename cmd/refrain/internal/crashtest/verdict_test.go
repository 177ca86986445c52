package crashtest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/payments"
)

// An op is one operation and what its clients were told.
type op struct {
	key  string
	told []payments.Result
}

// paid returns a success that the store promised to keep, or nil.
func (o *op) paid() *payments.Result {
	for i := range o.told {
		if recorded(&o.told[i]) {
			return &o.told[i]
		}
	}
	return nil
}

// recorded reports whether an answer is a success that the store promised to keep.
func recorded(r *payments.Result) bool {
	return r.Kind == payments.Paid && r.Header.Get("Idempotency-Status") != "unrecorded"
}

// check sets what the clients were told against the ledger, and asks again about every operation since the given one.
func (b *bench) check(since int) {
	b.t.Helper()
	v := b.judge(since)
	const shown = 10
	for _, f := range v.faults[:min(len(v.faults), shown)] {
		b.t.Error(f)
	}
	if len(v.faults) > shown {
		b.t.Errorf("and %d more", len(v.faults)-shown)
	}
}

// A verdict is what the ledger and the clients say of some operations.
type verdict struct {
	operations, paid, unknown int
	twice                     int // operations that were charged more than once
	lost                      int // operations that a client was told of, and whose answer is not replayed
	faults                    []string
}

// judge asks again about every operation since the given one, once the API is at rest.
func (b *bench) judge(since int) (v verdict) {
	b.t.Helper()
	b.await("the API to come to rest", func() bool { return b.api.InFlight() == 0 })
	again := make([]payments.Result, len(b.ops)-since)
	var wg sync.WaitGroup
	turns := make(chan struct{}, 16)
	for i, o := range b.ops[since:] {
		turns <- struct{}{}
		wg.Go(func() {
			again[i] = b.ask(o.key)
			<-turns
		})
	}
	wg.Wait()
	ids := make(map[string][]string)
	for _, c := range b.ledger.Charges() {
		ids[c.Reference] = append(ids[c.Reference], c.ID)
	}
	for i, o := range b.ops[since:] {
		faults := o.faults(ids[o.key], &again[i], b.reruns)
		v.faults = append(v.faults, faults...)
		v.operations++
		switch {
		case o.paid() != nil:
			v.paid++
			v.lost += min(1, len(faults))
		case again[i].Kind == payments.Unknown:
			v.unknown++
		}
	}
	for key, ids := range ids {
		if len(ids) > 1 {
			v.twice++
			v.faults = append(v.faults, b.faultsOfTwo(key, ids)...)
		}
	}
	return v
}

// faultsOfTwo returns what is wrong with an operation that was charged more than once. Where what is unknown reruns it may be,
// but all proxies tell of the same charge: the one that came too late has neither overwritten the other, nor believes that it has.
func (b *bench) faultsOfTwo(key string, ids []string) (faults []string) {
	if !b.reruns {
		return []string{fmt.Sprintf("%s: charged %d times: %v", key, len(ids), ids)}
	}
	var first payments.Charge
	for i, p := range b.fleet {
		c := payments.Client{URL: p.URL(), Tries: b.client.Tries, Pause: b.client.Pause}
		r := c.Pay(b.t.Context(), key, order(key))
		charge, err := r.Charge()
		if i == 0 {
			first = charge
		}
		if err != nil || charge.ID != first.ID {
			faults = append(faults, fmt.Sprintf("%s: proxy %d tells of %q (%v), another of %q", key, i, charge.ID, err, first.ID))
		}
	}
	return faults
}

// faults returns what is wrong with one operation, whose charges are ids, and the answer to asking about it again. Even where
// what is unknown reruns, there is one outcome.
func (o *op) faults(ids []string, again *payments.Result, reruns bool) (faults []string) {
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Sprintf("%s: "+format, append([]any{o.key}, args...)...))
	}
	for i := range o.told {
		r := &o.told[i]
		switch r.Kind {
		case payments.Unanswered:
			fault("no verdict after %d tries; last heard: %d %s, %v", r.Tries, r.Status, r.Body, r.Err)
		case payments.Refused:
			fault("refused: %d %s", r.Status, r.Body)
		case payments.Paid:
			if c, err := r.Charge(); err != nil || len(ids) != 1 && !reruns || !slices.Contains(ids, c.ID) {
				fault("told of charge %q (%v), the ledger has %v", c.ID, err, ids)
			}
		}
	}
	first := o.paid()
	switch {
	case first == nil && again.Kind != payments.Unknown && again.Kind != payments.Paid:
		fault("asked again: got %v, %d %s, want unknown, or paid by a late finish", again.Kind, again.Status, again.Body)
	case first == nil:
	case again.Kind != payments.Paid || again.Header.Get("Idempotent-Replayed") != "true":
		fault("paid, and asked again: got %d %s, want a replay", again.Status, again.Body)
	case again.Status != first.Status || string(again.Body) != string(first.Body):
		fault("got replay %d %s, want %d %s", again.Status, again.Body, first.Status, first.Body)
	}
	for i := range o.told {
		if r := &o.told[i]; recorded(r) && string(r.Body) != string(first.Body) {
			fault("told of two outcomes: %s and %s", first.Body, r.Body)
		}
	}
	return faults
}

// successes returns how many of the operations since the given one were paid for.
func (b *bench) successes(since int) (n int) {
	for _, o := range b.ops[since:] {
		if o.paid() != nil {
			n++
		}
	}
	return n
}
