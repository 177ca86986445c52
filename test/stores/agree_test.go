package stores

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/refrain-dev/refrain"
)

// TestStoresAgree makes the same random calls on every store and wants the same answers, also across restarts of those that
// outlive one.
func TestStoresAgree(t *testing.T) {
	t.Parallel()
	for name, subject := range subjects {
		if name == reference {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place, model := subject.start(t), subjects[reference].start(t)
			rapid.Check(t, func(t *rapid.T) {
				p := newPair(t, model(), place())
				defer p.close()
				calls := map[string]func(*rapid.T){
					"claim":   p.claim,
					"settle":  p.settle,
					"renew":   p.renew,
					"get":     p.get,
					"restart": p.restart,
				}
				if _, ok := p.other.Store.(refrain.Lister); ok {
					calls["list"] = p.list
				}
				t.Repeat(calls)
			})
		})
	}
}

// reference is the store that the others are compared with.
const reference = "memstore"

// A pair is two stores that get the same calls: the reference and another.
type pair struct {
	reference, other view
	reopen           opener // of the other
	tokens           []refrain.Token
	outcomes         byte
	renewals         map[refrain.ID]refrain.Renewal // the newest
}

// A view is a store as its callers see it.
type view struct {
	refrain.Store
	fences map[refrain.ID][]uint64 // each operation's, in the order in which they came up
}

func newPair(t *rapid.T, model, other opener) *pair {
	return &pair{
		tokens: []refrain.Token{{}, {1}, {2}, {3}, {4}, {5}}, renewals: make(map[refrain.ID]refrain.Renewal),
		reference: view{open(t, model), make(map[refrain.ID][]uint64)},
		other:     view{open(t, other), make(map[refrain.ID][]uint64)},
		reopen:    other,
	}
}

func open(t *rapid.T, opens opener) refrain.Store {
	s, err := opens()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (p *pair) close() {
	_ = p.reference.Close()
	_ = p.other.Close()
}

// restart closes the store that outlives it and opens it again. Renewals need not outlive it: they are made again.
func (p *pair) restart(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "one in ten") != 0 {
		return
	}
	if err := p.other.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	p.other.Store = open(t, p.reopen)
	for _, r := range p.renewals {
		refused(t, p.other.Renew(context.Background(), r))
	}
}

func (p *pair) claim(t *rapid.T) {
	c := refrain.Claim{
		ID: drawID(t), Token: p.drawToken(t), Lease: drawDuration(t, "lease"), Rerun: rapid.Bool().Draw(t, "rerun"),
	}
	if c.Token == (refrain.Token{}) {
		c.Token[0] = 9
	}
	c.Fingerprint[0] = rapid.ByteRange(0, 1).Draw(t, "fingerprint")
	p.agree(t, func(v *view) string {
		d, err := v.Claim(context.Background(), c)
		if d.Verdict == refrain.Run && d.Record.Created.Equal(d.Now) {
			delete(p.renewals, c.ID) // it was of an earlier claim, though perhaps with the same token
		}
		return fmt.Sprint(d.Verdict, v.describe(t, c.ID, d.Record), err)
	})
}

func (p *pair) settle(t *rapid.T) {
	s := refrain.Settlement{
		ID: drawID(t), Token: p.drawToken(t),
		Ending: rapid.SampledFrom([]refrain.Ending{
			refrain.Finished, refrain.Released, refrain.Undecided, refrain.Forgotten,
		}).Draw(t, "ending"),
	}
	if s.Ending == refrain.Finished || s.Ending == refrain.Undecided && rapid.Bool().Draw(t, "with an answer") {
		p.outcomes++
		s.Outcome = &refrain.Outcome{
			Status: int(p.outcomes), Meta: rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "meta"),
			Body: rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "body"), Omitted: rapid.Bool().Draw(t, "omitted"),
		}
	}
	if s.Ending == refrain.Finished {
		s.Retention = drawDuration(t, "retention")
		s.Tombstone = rapid.SampledFrom([]time.Duration{0, 3 * time.Hour}).Draw(t, "tombstone")
	}
	if rapid.IntRange(0, 3).Draw(t, "one in four") == 0 {
		s.Instead = p.drawToken(t)
	}
	p.agree(t, func(v *view) string {
		r, err := v.Settle(context.Background(), s)
		if err != nil {
			return refused(t, err)
		}
		return v.describe(t, s.ID, r.At(time.Now()))
	})
}

func (p *pair) renew(t *rapid.T) {
	r := refrain.Renewal{ID: drawID(t), Token: p.drawToken(t), Lease: drawDuration(t, "lease")}
	p.agree(t, func(v *view) string {
		err := v.Renew(context.Background(), r)
		if err == nil {
			p.renewals[r.ID] = r
		}
		return refused(t, err)
	})
}

func (p *pair) get(t *rapid.T) {
	id := drawID(t)
	p.agree(t, func(v *view) string {
		r, err := v.Get(context.Background(), id)
		return fmt.Sprint(v.describe(t, id, r), err)
	})
}

// list wants the same operations in every state.
func (p *pair) list(t *rapid.T) {
	q := refrain.ListQuery{State: refrain.State(rapid.ByteRange(0, byte(refrain.StateExpired)).Draw(t, "state"))}
	if rapid.Bool().Draw(t, "from an ID on") {
		q.From = drawID(t)
	}
	q.Limit = rapid.IntRange(1, 5).Draw(t, "limit")
	p.agree(t, func(v *view) (text string) {
		all, err := v.Store.(refrain.Lister).List(context.Background(), q)
		for _, l := range all {
			text += fmt.Sprintf("%s %s\n", l.ID, v.describe(t, l.ID, l.Record))
		}
		return fmt.Sprint(text, err)
	})
}

// agree makes the call on both stores and compares what they say.
func (p *pair) agree(t *rapid.T, call func(v *view) string) {
	if want, got := call(&p.reference), call(&p.other); got != want {
		t.Fatalf("got %s, want what the reference says: %s", got, want)
	}
}

// describe says all of a record that two stores can agree on: the order of its fences, not their values, and not its times.
func (v *view) describe(t *rapid.T, id refrain.ID, r refrain.Record) string {
	if r.State == refrain.StateAbsent {
		return "absent"
	}
	s := fmt.Sprintf("%v %x fp %x fence %d", r.State, r.Token, r.Fingerprint[:1], v.order(t, id, r.Fence))
	if o := r.Outcome; o != nil {
		s += fmt.Sprintf(" outcome %d %x %x omitted %v", o.Status, o.Meta, o.Body, o.Omitted)
	}
	return s
}

// order returns the how many-th fence of the operation this is. A new one must be greater than all before.
func (v *view) order(t *rapid.T, id refrain.ID, fence uint64) int {
	known := v.fences[id]
	for i, f := range known {
		if f == fence {
			return i
		}
	}
	if n := len(known); n > 0 && fence < known[n-1] {
		t.Fatalf("got fence %d after %d, want a greater one", fence, known[n-1])
	}
	v.fences[id] = append(known, fence)
	return len(known)
}

func refused(t *rapid.T, err error) string {
	if err != nil && !errors.Is(err, refrain.ErrStale) {
		t.Fatalf("got error %v", err)
	}
	return fmt.Sprint("stale: ", err != nil)
}

func drawID(t *rapid.T) refrain.ID { return refrain.ID{rapid.ByteRange(1, 3).Draw(t, "operation")} }

func (p *pair) drawToken(t *rapid.T) refrain.Token {
	return rapid.SampledFrom(p.tokens).Draw(t, "token")
}

// drawDuration returns one that has ended, or one that outlasts the test.
func drawDuration(t *rapid.T, name string) time.Duration {
	return rapid.SampledFrom([]time.Duration{-time.Hour, time.Hour}).Draw(t, name)
}
