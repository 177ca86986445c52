package refrain

import (
	"context"
	"sync/atomic"
	"time"
)

// deadlines are those of calls that may all take equally long. Calls that begin at about the same time share one, at most
// a sixteenth early for any of them, so that hardly any call needs a timer of its own.
type deadlines struct {
	limit  time.Duration
	newest atomic.Pointer[deadline]
}

// A deadline is a context that ends then.
type deadline struct {
	context.Context
	at time.Time
}

// context returns that of a call that begins now: it outlives its parent, but not the deadline.
func (d *deadlines) context(parent context.Context) context.Context {
	now := time.Now()
	shared := d.newest.Load()
	if shared == nil || shared.at.Sub(now) < d.limit-d.limit/16 {
		shared = newDeadline(now.Add(d.limit))
		d.newest.Store(shared)
	}
	return &callContext{shared, parent}
}

func newDeadline(at time.Time) *deadline {
	ctx, cancel := context.WithDeadline(context.Background(), at)
	context.AfterFunc(ctx, cancel)
	return &deadline{ctx, at}
}

// A callContext ends with its deadline and has its parent's values.
type callContext struct {
	*deadline
	parent context.Context
}

// Value implements context.Context. The deadline itself has but one, by which the package context knows it.
func (c *callContext) Value(key any) any {
	if v := c.deadline.Value(key); v != nil {
		return v
	}
	return context.WithoutCancel(c.parent).Value(key)
}
