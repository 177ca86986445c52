package pgstore

import (
	"context"
	"time"
)

const (
	maxRetries    = 25 // a second
	shortestPause = time.Millisecond
	longestPause  = 50 * time.Millisecond
)

// pause returns how long to wait before something is tried again that was tried again n times.
func pause(n int) time.Duration { return min(shortestPause<<min(n, 10), longestPause) }

// retry makes a transaction, and makes it again while the server says that it was certainly not made but may be the next time. It
// pauses in between, for each time may cost a connection.
func (s *Store) retry(ctx context.Context, call func() error) error {
	err := call()
	for n := 0; n < maxRetries && isTransient(err); n++ {
		select {
		case <-time.After(pause(n)):
			err = call()
		case <-ctx.Done():
			return err
		}
	}
	return err
}

// isTransient reports whether the same transaction may go through the next time, and was certainly not made this time, because
// the server says so. pgconn.SafeToRetry does not tell: it takes a connection that broke while an answer was read for one that
// was not used.
func isTransient(err error) bool {
	switch codeOf(err) {
	case "40001", "40P01", "23505", // serialization failure, deadlock, somebody else's row
		codeBehind:
		return true
	}
	return false
}
