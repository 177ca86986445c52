package sqlitestore

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	sqlite "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/refrain-dev/refrain"
)

var (
	// ErrReplaced says that the file, or its -wal or -shm, was removed, or another put in its place, while the store was open:
	// what it would acknowledge from then on nobody would find again.
	ErrReplaced = errors.New("the store's file was removed or replaced while it was open")
	// ErrSchema says that the store's tables were made by a later version of this program.
	ErrSchema = errors.New("the store's tables are of a later version")
)

// A fault is what the store stops for.
type fault struct{ err atomic.Pointer[error] }

func (f *fault) fail(err error) error {
	err = fmt.Errorf("%w: %w", refrain.ErrUnavailable, err)
	f.err.CompareAndSwap(nil, &err)
	return err
}

func (f *fault) get() error {
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}

// code returns SQLite's extended code of an error, or 0.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// busy reports whether an error says that somebody else has the lock, and that it is worth waiting for.
func busy(err error) bool {
	c := code(err)
	return c&0xff == lib.SQLITE_BUSY && !overtaken(err) || c&0xff == lib.SQLITE_LOCKED
}

// overtaken reports whether an error says that a transaction cannot write, for somebody else has written since it first read.
func overtaken(err error) bool { return code(err) == lib.SQLITE_BUSY_SNAPSHOT }

// missing reports whether an error says that there is no such table.
func missing(err error) bool {
	return errors.Is(err, sql.ErrNoRows) || code(err) == lib.SQLITE_ERROR && strings.Contains(err.Error(), "no such table")
}

// unavailable says of an error of SQLite's what it means to the caller.
func unavailable(err error) error {
	switch {
	case errors.Is(err, refrain.ErrUnavailable):
		return err
	case code(err)&0xff == lib.SQLITE_FULL:
		return fmt.Errorf("%w: %w", refrain.ErrFull, err)
	}
	return fmt.Errorf("%w: %w", refrain.ErrUnavailable, err)
}
