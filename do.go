package refrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Do runs fn once for the operation and returns its result; every other call for the operation returns the same result
// without running fn. The result is recorded as JSON before it is returned.
//
// fn runs in a context of its own, which [Attempt.Context] describes. When ctx ends first, Do returns its error while fn
// goes on, and a later call gets the result.
//
// An error of fn leaves the operation unknown, for the effect may have happened before the error did, unless fn wraps it
// with [NotDone]: then the operation is released, and the next call runs. A panic leaves it unknown too.
//
// A function that records its [Result] with [Attempt.FinishTx] of the attempt that [FromContext] returns, in the transaction
// that has its effect, happens exactly once. If that transaction committed, Do returns what was recorded, whatever the function
// returned; if it was rolled back, an error releases the operation.
//
// The errors of Do itself are ErrInFlight, ErrMismatch, ErrUnknown, ErrExpired, ErrUnavailable and ErrInvalidKey. With
// ErrUnrecorded the result is returned too: fn has run, but the store does not know it yet; so it is with ErrStale: fn has run
// late, and its claim was taken over meanwhile. When the store is unavailable
// and the policy's StoreDown is FailOpen, fn runs unprotected: [FromContext] returns nil in it.
func Do[T any](ctx context.Context, g *Guard, op Operation, fn func(context.Context) (T, error)) (T, error) {
	var zero T
	a, err := g.Begin(ctx, op)
	switch {
	case err != nil:
		if !g.mayRunUnprotected(&op, err) {
			return zero, err
		}
		g.log.Warn("store unavailable, running unprotected", "route", op.Scope.Route, "err", err)
		return fn(context.WithValue(ctx, attemptKey{}, (*Attempt)(nil)))
	case a.Verdict == Run:
		return execute(ctx, a, fn)
	case a.Verdict == Replay && !a.Record.Outcome.Omitted:
		return recorded[T](a.Record.Outcome)
	}
	return zero, refusal(a.Verdict)
}

// recorded returns the result that an outcome holds.
func recorded[T any](o *Outcome) (v T, err error) {
	if err = json.Unmarshal(o.Body, &v); err != nil {
		err = fmt.Errorf("decoding the recorded result: %w", err)
	}
	return v, err
}

// Result returns the outcome that [Do] records of a result, for [Attempt.FinishTx]. The error is that of its encoding as JSON.
func Result(v any) (Outcome, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return Outcome{}, fmt.Errorf("encoding the result: %w", err)
	}
	return Outcome{Body: body}, nil
}

// mayRunUnprotected reports whether the operation may run although the store did not answer. A guard that is closing is no
// store that is down.
func (g *Guard) mayRunUnprotected(op *Operation, err error) bool {
	return errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrClosed) && g.policyOf(op).StoreDown == FailOpen
}

// refusal returns the error for a verdict that gives no result.
func refusal(v Verdict) error {
	switch v {
	case InFlight:
		return ErrInFlight
	case Mismatch:
		return ErrMismatch
	case Unknown:
		return ErrUnknown
	}
	return ErrExpired // the outcome was dropped at the end of its retention, or could never be kept
}

type result[T any] struct {
	value T
	err   error
	crash any
}

// execute runs fn in a goroutine of its own, so that the caller can leave; the guard's Close waits for it.
func execute[T any](ctx context.Context, a *Attempt, fn func(context.Context) (T, error)) (T, error) {
	done := make(chan result[T], 1)
	go func() {
		r := result[T]{err: ErrUnknown}
		defer func() { done <- r }() // also when fn calls runtime.Goexit
		run(ctx, a, fn, &r)
	}()
	select {
	case r := <-done:
		if r.crash != nil {
			panic(r.crash)
		}
		return r.value, r.err
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}

func run[T any](parent context.Context, a *Attempt, fn func(context.Context) (T, error), r *result[T]) {
	ctx, cancel := a.Context(parent)
	defer cancel()
	ended := false
	defer func() {
		if ended {
			return
		}
		// fn, or the encoding of its result, panicked or called runtime.Goexit.
		r.crash = recover()
		a.guard.log.Error("operation panicked", "op", a.id, "route", a.Route, "panic", r.crash)
		_ = a.MarkUnknown(ctx, nil) // what goes wrong here is counted and logged by the guard
	}()
	value, err := fn(ctx)
	err = settleResult(ctx, a, value, err)
	if o := a.Record.Outcome; a.InTx() && a.Record.State == StateDone && !o.Omitted {
		value, err = recorded[T](o) // whatever fn was told of its transaction
	}
	r.value, r.err = value, err
	ended = true
}

func settleResult(ctx context.Context, a *Attempt, value any, err error) error {
	var not *notDone
	switch {
	case errors.As(err, &not):
		_ = a.Release(ctx)
		return err
	case err != nil:
		_ = a.MarkUnknown(ctx, nil)
		return err
	}
	o, err := Result(value)
	if err != nil {
		_ = a.Finish(ctx, Outcome{Omitted: true})
		return err
	}
	return a.Finish(ctx, o)
}

// NotDone wraps an error that a function of [Do] returns when its effect certainly did not happen. NotDone(nil) is nil.
func NotDone(err error) error {
	if err == nil {
		return nil
	}
	return &notDone{err}
}

type notDone struct{ error }

func (e *notDone) Unwrap() error { return e.error }
