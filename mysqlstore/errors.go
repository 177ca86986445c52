package mysqlstore

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/go-sql-driver/mysql"

	"github.com/refrain-dev/refrain"
)

// The server's errors that mean something here.
const (
	errDiskFull        = 1021
	errAccessDenied    = 1044
	errDuplicate       = 1062
	errTableFull       = 1114
	errLoginDenied     = 1045
	errNoSuchTable     = 1146
	errNoProcedure     = 1305
	errMayNotCall      = 1370
	errLockWait        = 1205
	errDeadlock        = 1213
	errReadOnly        = 1290
	errDuplicateValue  = 1495
	errSamePartition   = 1517
	errNoPartition     = 1526
	errNoSuchPartition = 1507
	errReadOnlyTx      = 1792
	errReadOnlyMode    = 1836
)

// ErrDenied is a refrain.ErrUnavailable: the user of the URL may not do what the store needs.
var ErrDenied = fmt.Errorf("%w: the server denies access", refrain.ErrUnavailable)

// number returns the server's number of an error, or zero if it is not from the server.
func number(err error) uint16 {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e.Number
	}
	return 0
}

// transient reports whether the server has taken back the transaction, or the statement, for reasons that pass.
func transient(err error) bool {
	n := number(err)
	return n == errDeadlock || n == errLockWait
}

// unreachable reports whether there is no way to the server, so that trying again at once is in vain.
func unreachable(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "dial"
}

// unavailable returns a fault of the server or of the way to it as an ErrUnavailable. It shows the server's number of the error
// and not its text, in which there may be data.
func unavailable(err error) error {
	switch n := number(err); {
	case err == nil, errors.Is(err, refrain.ErrUnavailable):
		return err
	case n == errDiskFull || n == errTableFull:
		return fmt.Errorf("%w: the server's error %d", refrain.ErrFull, n)
	case n == errNoSuchTable:
		return fmt.Errorf("%w: a table is missing (the server's error %d): refrain migrate makes it", refrain.ErrUnavailable, n)
	case n == errNoProcedure:
		return fmt.Errorf("%w: the procedure refrain_group is missing (the server's error %d)", refrain.ErrUnavailable, n)
	case n == errReadOnly || n == errReadOnlyTx || n == errReadOnlyMode:
		return fmt.Errorf("%w: the server is read-only (its error %d)", refrain.ErrUnavailable, n)
	case n == errAccessDenied || n == errLoginDenied || n == errMayNotCall:
		return fmt.Errorf("%w (its error %d)", ErrDenied, n)
	case n != 0:
		return fmt.Errorf("%w: the server's error %d", refrain.ErrUnavailable, n)
	}
	return fmt.Errorf("%w: %w", refrain.ErrUnavailable, err)
}

// gone returns why the caller's context has ended, as an ErrUnavailable.
func gone(ctx context.Context) error {
	return fmt.Errorf("%w: %w", refrain.ErrUnavailable, context.Cause(ctx))
}
