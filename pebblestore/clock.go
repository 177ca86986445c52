package pebblestore

import (
	"sync"
	"time"
)

// A clock is the store's time. It follows the machine's but never goes backwards, and it goes on when the machine's clock
// is set back.
type clock struct {
	machine func() time.Time

	mu     sync.Mutex
	anchor time.Time // a reading of the machine's clock, and what the store's clock showed then
	shown  time.Time
	last   time.Time
}

// now returns the time in the precision of a stored record.
func (c *clock) now() time.Time {
	t := c.machine()
	wall := t.Round(0)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.shown.Add(t.Sub(c.anchor)) // by the monotonic clock
	if c.anchor.IsZero() || now.Before(wall) {
		c.anchor, c.shown, now = t, wall, wall
	}
	if now.Before(c.last) {
		now = c.last
	}
	c.last = now
	return time.UnixMicro(now.UnixMicro()).UTC()
}
