package refrain

import (
	"context"
	"sync/atomic"
	"time"
)

// A limitedContext is context.WithDeadline(context.WithoutCancel(parent), deadline) for what hardly ever lasts until its
// deadline: it needs no timer until somebody asks for its Done channel.
type limitedContext struct {
	parent   context.Context
	deadline time.Time
	ended    atomic.Bool
	full     atomic.Pointer[fullContext] // what the above says, once it is needed
}

type fullContext struct {
	context.Context
	cancel context.CancelFunc
}

// Deadline implements context.Context.
func (c *limitedContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements context.Context.
func (c *limitedContext) Done() <-chan struct{} { return c.complete().Done() }

// Err implements context.Context.
func (c *limitedContext) Err() error {
	if c.full.Load() == nil && !c.ended.Load() && time.Now().Before(c.deadline) {
		return nil
	}
	return c.complete().Err()
}

// Value implements context.Context. The package context looks for its own contexts by it, once it has asked for Done.
func (c *limitedContext) Value(key any) any {
	if full := c.full.Load(); full != nil {
		return full.Value(key)
	}
	return context.WithoutCancel(c.parent).Value(key)
}

// complete returns the full context.
func (c *limitedContext) complete() *fullContext {
	full := c.full.Load()
	if full == nil {
		full = &fullContext{}
		full.Context, full.cancel = context.WithDeadline(context.WithoutCancel(c.parent), c.deadline)
		if !c.full.CompareAndSwap(nil, full) {
			full.cancel()
			full = c.full.Load()
		}
	}
	if c.ended.Load() { // end may have come too early to see it
		full.cancel()
	}
	return full
}

// end cancels the context.
func (c *limitedContext) end() {
	c.ended.Store(true)
	if full := c.full.Load(); full != nil {
		full.cancel()
	}
}
