package machine

import (
	"sync"
	"time"
)

// A Clock is a store's time. It follows the machine's but never goes back: not behind what it has shown, nor behind what it is
// told that others have seen. It goes on when the machine's clock is set back. Many may read it at once.
type Clock struct {
	Machine func() time.Time // the machine's clock; nil: time.Now

	mu     sync.Mutex
	anchor time.Time // a reading of the machine's clock, and what this clock showed then
	shown  time.Time
	last   time.Time
}

// Now returns the time in the precision of a stored record.
func (c *Clock) Now() time.Time { return c.NowFrom(time.Time{}) }

// NowFrom is Now for a clock that others share: they have seen that it was seen.
func (c *Clock) NowFrom(seen time.Time) time.Time {
	t := c.machine()
	least := t.Round(0)
	if least.Before(seen) {
		least = seen
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.shown.Add(t.Sub(c.anchor)) // by the monotonic clock
	if c.anchor.IsZero() || now.Before(least) {
		c.anchor, c.shown, now = t, least, least
	}
	if now.Before(c.last) {
		now = c.last
	}
	c.last = now
	return time.UnixMicro(now.UnixMicro()).UTC()
}

func (c *Clock) machine() time.Time {
	if c.Machine == nil {
		return time.Now()
	}
	return c.Machine()
}
