package sqlitestore

import (
	"sync"
	"time"
)

// A clock is the store's time. It follows the machine's but never goes back: not behind what it has shown, nor behind what
// anybody has recorded in the file. It goes on when the machine's clock is set back.
type clock struct {
	machine func() time.Time

	mu     sync.Mutex
	anchor time.Time // a reading of the machine's clock, and what the store's clock showed then
	shown  time.Time
	last   time.Time
}

// now returns the time in the precision of a stored record. The file has recorded that it was recorded, in microseconds.
func (c *clock) now(recorded int64) time.Time {
	t := c.machine()
	floor := t.Round(0)
	if r := time.UnixMicro(recorded); floor.Before(r) {
		floor = r
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.shown.Add(t.Sub(c.anchor)) // by the monotonic clock
	if c.anchor.IsZero() || now.Before(floor) {
		c.anchor, c.shown, now = t, floor, floor
	}
	if now.Before(c.last) {
		now = c.last
	}
	c.last = now
	return time.UnixMicro(now.UnixMicro()).UTC()
}
