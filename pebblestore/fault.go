package pebblestore

import (
	"fmt"
	"sync"

	"github.com/refrain-dev/refrain"
)

// A fault is the first failure after which nothing may be said to be durable. A disk that failed to sync once can report
// success the next time although the data are gone, so there is no way back but a restart, which reads what is really there.
type fault struct {
	once  sync.Once
	dead  chan struct{} // closed when the others are set
	cause error
	err   error // what callers are told
}

func newFault() *fault { return &fault{dead: make(chan struct{})} }

// fail records the fault, the first one only, and returns it.
func (f *fault) fail(cause error) error {
	f.once.Do(func() {
		f.cause = cause
		f.err = fmt.Errorf("%w: the disk failed, and the store must be restarted to see what it holds: %w",
			refrain.ErrUnavailable, cause)
		close(f.dead)
	})
	return f.err
}

// Err returns the fault, or nil.
func (f *fault) Err() error {
	select {
	case <-f.dead:
		return f.err
	default:
		return nil
	}
}
