package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/refrain-dev/refrain"
)

const (
	tripAfter = 5           // calls in a row that went wrong
	silence   = time.Second // without any answer
	coolDown  = time.Second
)

// A breaker is a store that refuses at once while the one behind it does not answer: after some calls in a row went wrong, and
// nothing went right for a while, only one call a second is let through to find out whether it is back. So an outage costs a
// request no waiting. A store of which a part is away, as a shard of a Cluster, goes on with the others.
//
// It changes nothing about what is true: a refused call was not made.
type breaker struct {
	refrain.Store

	circuit *gobreaker.TwoStepCircuitBreaker[struct{}]
	began   time.Time
	heard   atomic.Int64           // when the store last answered, in nanoseconds since it began
	why     atomic.Pointer[string] // of the last call that went wrong
}

func newBreaker(s refrain.Store, log *slog.Logger) *breaker {
	b := &breaker{Store: s, began: time.Now()}
	b.circuit = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: "store", Timeout: coolDown,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter && b.silent() },
		IsSuccessful: answered,
		OnStateChange: func(_ string, _, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				log.Warn("the store does not answer: calls are refused, and one a second is tried")
			case gobreaker.StateClosed:
				log.Info("the store answers again")
			case gobreaker.StateHalfOpen:
			}
		},
	})
	return b
}

func (b *breaker) silent() bool { return time.Since(b.began)-time.Duration(b.heard.Load()) >= silence }

// answered reports whether the store has said something, be it no.
func answered(err error) bool {
	return err == nil || errors.Is(err, refrain.ErrStale) || errors.Is(err, refrain.ErrFull) || errors.Is(err, context.Canceled)
}

// try makes a call unless the circuit is open.
func (b *breaker) try(call func() error) error {
	done, err := b.circuit.Allow()
	if err != nil {
		return fmt.Errorf("%w: it has not answered for a while: %s", refrain.ErrUnavailable, *b.why.Load())
	}
	if err = call(); answered(err) {
		b.heard.Store(int64(time.Since(b.began)))
	} else {
		why := err.Error()
		b.why.Store(&why)
	}
	done(err)
	return err
}

func (b *breaker) Claim(ctx context.Context, c refrain.Claim) (d refrain.Decision, err error) {
	err = b.try(func() (err error) { d, err = b.Store.Claim(ctx, c); return err })
	return d, err
}

func (b *breaker) Settle(ctx context.Context, s refrain.Settlement) (r refrain.Record, err error) {
	err = b.try(func() (err error) { r, err = b.Store.Settle(ctx, s); return err })
	return r, err
}

func (b *breaker) Renew(ctx context.Context, r refrain.Renewal) error {
	return b.try(func() error { return b.Store.Renew(ctx, r) })
}

func (b *breaker) Get(ctx context.Context, id refrain.ID) (r refrain.Record, err error) {
	err = b.try(func() (err error) { r, err = b.Store.Get(ctx, id); return err })
	return r, err
}

// Watch implements refrain.Watcher, if the store does.
func (b *breaker) Watch(id refrain.ID) (ended <-chan struct{}, stop func()) {
	if w, ok := b.Store.(refrain.Watcher); ok {
		return w.Watch(id)
	}
	return nil, func() {}
}
