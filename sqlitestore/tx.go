package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	lib "modernc.org/sqlite/lib"

	"github.com/refrain-dev/refrain"
)

// What a settlement in a transaction of the application's does first. It takes the file's write lock. A file that is only
// attached will not do: SQLite commits to several files one after the other.
const touchShared = "UPDATE main.refrain_store SET clock = max(clock, ?) RETURNING clock, secret"

// SettleTx implements refrain.TxSettler. The transaction is a *[sql.Tx] on the store's file. From SettleTx on it has the file's
// write lock, for which SettleTx waits until ctx ends. It must be short: see the package.
//
// The error is a refrain.ErrNoTx for a transaction of another kind, on another file, of a connection whose commits are not
// synced, or that SQLite has rolled back after an error in it, and otherwise a refrain.ErrUnavailable. That is so, at once, when
// the transaction has read before and somebody else has written since, which is why transactions should begin with
// _txlock=immediate: rolled back, it may be tried again.
func (s *Store) SettleTx(ctx context.Context, tx any, e refrain.Settlement) (refrain.Record, error) {
	t, ok := tx.(*sql.Tx)
	if !ok {
		return refrain.Record{}, fmt.Errorf("settling %s in a %T: %w: it must be a *sql.Tx", e.ID, tx, refrain.ErrNoTx)
	}
	r, err := s.settleTx(ctx, t, &e)
	if err != nil {
		return refrain.Record{}, fmt.Errorf("settling %s in a transaction: %w", e.ID, err)
	}
	return r, nil
}

func (s *Store) settleTx(ctx context.Context, tx *sql.Tx, e *refrain.Settlement) (refrain.Record, error) {
	if err := s.ready(ctx); err != nil {
		return refrain.Record{}, err
	}
	recorded, err := s.join(ctx, tx)
	if err != nil {
		return refrain.Record{}, err
	}
	var w row
	err = w.scan(tx.QueryRowContext(ctx, selectRow, e.ID[:]))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return refrain.Record{}, unavailable(err)
	}
	next, err := e.ApplyTx(s.decode(e.ID, w), s.now(recorded))
	if err != nil {
		return next, err
	}
	if next.State == refrain.StateAbsent {
		_, err = tx.ExecContext(ctx, deleteRow, e.ID[:])
	} else {
		w = encode(e.ID, next)
		_, err = tx.ExecContext(ctx, upsertRow, e.ID[:], w.due, w.head, w.record)
	}
	if err != nil {
		return refrain.Record{}, unavailable(err)
	}
	return next, nil
}

// stillOpen returns an error if the transaction has ended without its owner: SQLite rolls it back by itself when a statement in
// it is interrupted, finds the disk full, or has a conflict that is to be resolved by ROLLBACK. Each statement that follows is
// committed at once.
func stillOpen(ctx context.Context, tx *sql.Tx) error {
	switch _, err := tx.ExecContext(ctx, "BEGIN"); {
	case err == nil:
		_, err = tx.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return errors.Join(fmt.Errorf("%w: SQLite has rolled it back after an error in it", refrain.ErrNoTx), err)
	case code(err) != lib.SQLITE_ERROR: // that there is one already
		return unavailable(err)
	}
	return nil
}

// join takes the file's write lock for the transaction, and makes sure that it is the store's file and that the commit is
// synced. It returns the recorded time.
func (s *Store) join(ctx context.Context, tx *sql.Tx) (recorded int64, err error) {
	if err := stillOpen(ctx, tx); err != nil {
		return 0, err
	}
	var synchronous int
	if err := tx.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil {
		return 0, unavailable(err)
	}
	if synchronous < synchronousFull {
		return 0, fmt.Errorf("%w: its connection has synchronous=%d, so that its commit may be lost with the power: "+
			"open the database with _pragma=synchronous(FULL)", refrain.ErrNoTx, synchronous)
	}
	recorded, secret, err := s.touch(ctx, tx)
	switch {
	case missing(err), err == nil && !slices.Equal(secret, s.secret):
		return 0, fmt.Errorf("%w: it is not on %s", refrain.ErrNoTx, s.path)
	case overtaken(err):
		return 0, fmt.Errorf("%w: somebody else has written since the transaction first read, which _txlock=immediate prevents: %w",
			refrain.ErrUnavailable, err)
	case err != nil:
		return 0, unavailable(err)
	}
	return recorded, nil
}

// touch takes the lock, and is back when ctx ends. SQLite waits for as long as the application's busy_timeout says, whatever ctx
// says; what is left behind then holds up nothing but the transaction's end.
func (s *Store) touch(ctx context.Context, tx *sql.Tx) (recorded int64, secret []byte, err error) {
	type answer struct {
		recorded int64
		secret   []byte
		err      error
	}
	done := make(chan answer, 1)
	now := s.clock.Now().UnixMicro()
	go func() {
		var a answer
		a.err = patiently(ctx, func() error { return tx.QueryRowContext(ctx, touchShared, now).Scan(&a.recorded, &a.secret) })
		done <- a
	}()
	select {
	case a := <-done:
		return a.recorded, a.secret, a.err
	case <-ctx.Done():
		return 0, nil, context.Cause(ctx)
	}
}
