package pgstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/refrain-dev/refrain"
)

// SettleTx implements refrain.TxSettler. The transaction is a pgx.Tx or an *sql.Tx in the store's database. It may have any
// isolation level, but under REPEATABLE READ and SERIALIZABLE it must not have begun before the claim was made or renewed last:
// the server refuses it then, with a serialization failure.
//
// It is committed with the store's own synchronous_commit, if its own is less.
//
// Only what is finished can be settled so: whatever else becomes of an operation needs no transaction.
func (s *Store) SettleTx(ctx context.Context, tx any, e refrain.Settlement) (refrain.Record, error) {
	if e.Ending != refrain.Finished || e.Instead != (refrain.Token{}) || e.Outcome == nil {
		return refrain.Record{}, fmt.Errorf("settling %v in a transaction: it is %v, not finished by its owner", e.ID, e.Ending)
	}
	count(&e)
	seen, err := s.settleIn(ctx, tx, &e)
	if err != nil {
		return refrain.Record{}, fmt.Errorf("settling %v in a transaction: %w", e.ID, err)
	}
	next, err := e.ApplyTx(seen.record(), seen.at)
	if seen.written != (err == nil) {
		err = errNonsense
	}
	s.buckets.note(&e, &seen)
	if err != nil {
		return refrain.Record{}, fmt.Errorf("settling %v in a transaction: %w", e.ID, err)
	}
	return next, nil
}

// settleIn makes the settlement in the transaction, with its driver.
func (s *Store) settleIn(ctx context.Context, tx any, e *refrain.Settlement) (seen sighting, err error) {
	var row interface{ Scan(into ...any) error }
	args := []any{
		uuidText(s.name), s.lock(&e.ID), e.ID[:], e.Token[:], e.Retention.Microseconds(), e.Tombstone.Microseconds(),
		widthFor(e.Retention), widthFor(e.Retention + e.Tombstone),
		int32(e.Outcome.Status), e.Outcome.Omitted, notNull(e.Outcome.Meta), notNull(e.Outcome.Body), s.settings.Load().Commit,
	}
	switch tx := tx.(type) {
	case pgx.Tx:
		row = tx.QueryRow(ctx, s.calls.settleTx, args...)
	case *sql.Tx:
		row = tx.QueryRowContext(ctx, s.calls.settleTx, args...)
	default:
		return seen, fmt.Errorf("%w: a %T is neither a pgx.Tx nor an *sql.Tx", refrain.ErrNoTx, tx)
	}
	var live *bool
	var token, digest []byte
	var at, fence, created, lease, retain, forget *int64
	var waits *string
	err = row.Scan(&seen.written, &at, &live, &token, &fence, &digest, &created, &lease, &retain, &forget, &waits)
	if err != nil {
		return seen, err
	}
	if at == nil {
		return seen, errNonsense
	}
	seen.held, seen.at, seen.known, seen.live = true, micros(at), live != nil, live != nil && *live
	seen.created, seen.lease, seen.retain, seen.forget = micros(created), micros(lease), micros(retain), micros(forget)
	if fence != nil {
		seen.fence = uint64(*fence)
	}
	copy(seen.token[:], token)
	copy(seen.print[:], digest)
	return seen, nil
}

// uuidText returns the text of a UUID, which every driver can send.
func uuidText(b [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// notNull returns an empty value for none: nil would be NULL.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func micros(us *int64) time.Time {
	if us == nil {
		return time.Time{}
	}
	return time.UnixMicro(*us).UTC()
}
