package refrain

import (
	"context"
	"sync"
	"time"
)

// A limitedContext is context.WithDeadline(context.WithoutCancel(parent), deadline) for what hardly ever lasts until its
// deadline: it needs no timer until somebody asks for its Done channel.
type limitedContext struct {
	parent   context.Context
	deadline time.Time

	mu     sync.Mutex
	full   context.Context // what the above says, once it is needed
	cancel context.CancelFunc
	ended  bool // before that
}

// Deadline implements context.Context.
func (c *limitedContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements context.Context.
func (c *limitedContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.complete().Done()
}

// Err implements context.Context.
func (c *limitedContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.full == nil && !c.ended && time.Now().Before(c.deadline) {
		return nil
	}
	return c.complete().Err()
}

// Value implements context.Context. The package context looks for its own contexts by it, once it has asked for Done.
func (c *limitedContext) Value(key any) any {
	c.mu.Lock()
	full := c.full
	c.mu.Unlock()
	if full == nil {
		full = context.WithoutCancel(c.parent)
	}
	return full.Value(key)
}

// complete returns the full context. It is called with mu held.
func (c *limitedContext) complete() context.Context {
	if c.full == nil {
		c.full, c.cancel = context.WithDeadline(context.WithoutCancel(c.parent), c.deadline)
		if c.ended {
			c.cancel()
		}
	}
	return c.full
}

// end cancels the context.
func (c *limitedContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
}
