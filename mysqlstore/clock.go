package mysqlstore

import (
	"sync/atomic"
	"time"
)

// A clock guesses the server's time between its answers. It only chooses partitions: what counts is decided on the server.
type clock struct{ ahead atomic.Int64 } // the server's, in microseconds

func (c *clock) saw(now time.Time) { c.ahead.Store(now.UnixMicro() - time.Now().UnixMicro()) }

func (c *clock) now() time.Time {
	return time.Now().Add(time.Duration(c.ahead.Load()) * time.Microsecond)
}

// at returns the time of a column.
func at(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// column returns the value of a time's column.
func column(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// nowSQL is the server's time as a column has it.
const nowSQL = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
