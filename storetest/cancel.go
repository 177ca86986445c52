package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/refrain-dev/refrain"
)

// cancelCases test that a caller who leaves is let go, and that whoever asks again with the same token finds itself.
var cancelCases = []testCase{
	{"a caller that left before is let go", func(x *subject) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for range 20 {
			x.other().leaves(func() (context.Context, context.CancelFunc) { return ctx, func() {} })
		}
	}},
	{"a caller that leaves at any time is let go", func(x *subject) {
		for i := range 50 {
			x.other().leaves(func() (context.Context, context.CancelFunc) {
				return context.WithTimeout(context.Background(), time.Duration(i*i)*time.Microsecond)
			})
		}
	}},
}

// leaves takes an operation through its life twice for every step: once with a context that ends, whose answer may be an
// error, and once more to the same effect.
func (x *subject) leaves(ending func() (context.Context, context.CancelFunc)) {
	x.t.Helper()
	c := x.request()
	x.returns("Claim", func() error {
		ctx, cancel := ending()
		defer cancel()
		d, err := x.s.Claim(ctx, c)
		if err == nil && d.Verdict != refrain.Run {
			x.t.Errorf("Claim with an ended context: got verdict %v and no error, want %v", d.Verdict, refrain.Run)
		}
		return err
	})
	x.claim(c, refrain.Run)
	x.returns("Renew", func() error {
		ctx, cancel := ending()
		defer cancel()
		return x.s.Renew(ctx, refrain.Renewal{ID: x.id, Token: c.Token, Lease: long})
	})
	x.renew(c.Token, nil)
	x.returns("Get", func() error {
		ctx, cancel := ending()
		defer cancel()
		_, err := x.s.Get(ctx, x.id)
		return err
	})
	x.returns("Settle", func() error {
		ctx, cancel := ending()
		defer cancel()
		s := finish(c.Token, "paid")
		s.ID = x.id
		_, err := x.s.Settle(ctx, s)
		return err
	})
	x.wantOutcome(x.settle(finish(c.Token, "paid"), nil), outcome("paid"))
	x.wantOutcome(x.get(refrain.StateDone), outcome("paid"))
}

// returns checks that the call returns, and not with the news that the token is stale, which it is not.
func (x *subject) returns(what string, call func() error) {
	x.t.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		if errors.Is(err, refrain.ErrStale) {
			x.t.Errorf("%s with an ended context: got %v from the newest token", what, err)
		}
	case <-time.After(patience):
		x.t.Fatalf("%s with an ended context did not return", what)
	}
}
