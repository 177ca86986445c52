package refrainhttp

import (
	"sync/atomic"
	"time"
)

// clockLead is how far a leadingClock may be ahead.
const clockLead = 250 * time.Millisecond

// A leadingClock is never behind the real one, as long as timers go off in time, and hardly ahead of it. Reading the real one
// for each request would cost as much as a twentieth of a replay.
type leadingClock struct {
	latest atomic.Int64 // in nanoseconds since 1970, 0 when it must be read anew
}

func (c *leadingClock) now() time.Time {
	latest := c.latest.Load()
	if latest == 0 {
		latest = time.Now().Add(clockLead).UnixNano()
		c.latest.Store(latest)
		time.AfterFunc(clockLead, func() { c.latest.Store(0) })
	}
	return time.Unix(0, latest)
}
