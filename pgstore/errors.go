package pgstore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/refrain-dev/refrain"
)

// ErrSchema says that the store's tables are not there or not in the version that this package needs.
var ErrSchema = errors.New("the schema is not the one that this program needs")

// errNotReplicated says that a transaction is committed on the primary, but that its wait for a standby was cancelled: whoever
// is told of it must not rely on it.
var errNotReplicated = fmt.Errorf("%w: the server warned that a commit may not have reached a standby", refrain.ErrUnavailable)

// The codes that the functions of the schema raise.
const (
	codeOtherStore = "RF001"
	codeIsolation  = "RF002"
	codeStandby    = "RF003"
	codeBehind     = "RF004"
)

// codeNoPartition is the server's when a row finds no bucket although the bucket is on the list.
const codeNoPartition = "23514"

// codeOf returns the server's code of an error, or "" for an error of another origin.
func codeOf(err error) string {
	if p, ok := errors.AsType[*pgconn.PgError](err); ok {
		return p.Code
	}
	return ""
}

// goesOn reports whether a connection goes on after an error. A server process that does not know of every bucket is left, for
// another one does.
func goesOn(_ *pgconn.PgConn, err *pgconn.PgError) bool {
	return !strings.EqualFold(err.Severity, "FATAL") && err.Code != codeBehind && err.Code != codeNoPartition
}

// unavailable makes an error one of the store's absence. A nil error stays nil.
func unavailable(err error) error {
	if err == nil || errors.Is(err, refrain.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", refrain.ErrUnavailable, err)
}

// fault returns the error that a caller gets for one of the database's, and notes what cannot get better by itself.
func (s *Store) fault(err error) error {
	switch {
	case err == nil:
		return nil
	case s.closing.Err() != nil:
		return refrain.ErrClosed
	}
	switch codeOf(err) {
	case codeOtherStore:
		lost := fmt.Errorf("%w: the schema %s is another store than it was; restart to use it", refrain.ErrUnavailable, s.cfg.Schema)
		s.lost.Store(&lost)
		return lost
	case "42883", "42P01", "3F000": // no such function, table, schema
		return fmt.Errorf("%w: %w: %w", refrain.ErrUnavailable, ErrSchema, err)
	case codeBehind: // and so are others
		return fmt.Errorf("%w: the schema %s has lost partitions, or their first rows (docs/stores.md, Damage): %w",
			refrain.ErrUnavailable, s.cfg.Schema, err)
	case codeStandby, "25006": // a standby now, though it was the primary when the connection was made
		s.pool.Reset()
	}
	return unavailable(err)
}
