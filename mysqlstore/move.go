package mysqlstore

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/refrain-dev/refrain"
)

// A statement is a text and what stands for its question marks.
type statement struct {
	query string
	args  []any
}

// A move is what ends a claim, or what is done. The first statement changes one row if what was found is still there; if it
// does not, the others must not be made.
type move []statement

// moveFor returns the move that makes what was found into next, whose times it makes those that are kept.
func (s *Store) moveFor(ctx context.Context, f *found, next *refrain.Record) move {
	next.Retain, next.Forget = next.Retain.Truncate(time.Microsecond), next.Forget.Truncate(time.Microsecond)
	switch {
	case next.State == refrain.StateUnknown:
		var answer []byte
		if next.Outcome != nil {
			answer = stored(f.id, next)
		}
		return move{{
			"UPDATE {db}refrain_live SET state = 2, lease = 0, answer = ? WHERE " + sameLive, append([]any{answer}, f.sameLive()...),
		}}
	case next.State == refrain.StateDone && f.now.Before(next.Forget):
		return s.finishing(ctx, f, next)
	case f.current() == f.done:
		return forgetting(f)
	}
	// The fence stays behind for as long as a claim may be under way that has drawn a smaller one.
	return move{{
		"UPDATE {db}refrain_live SET state = 0, lease = ?, answer = NULL WHERE " + sameLive,
		append([]any{column(f.now)}, f.sameLive()...),
	}}
}

// finishing makes a claim done: it goes from refrain_live to refrain_done, and its outcome goes beside it.
func (s *Store) finishing(ctx context.Context, f *found, next *refrain.Record) move {
	done, kept := s.parts.at(ctx, tableDone, next.Forget.Sub(f.now), next.Forget), bucket(0)
	replayed := f.now.Before(next.Retain)
	if replayed {
		if kept = s.parts.at(ctx, tableOutcomes, next.Retain.Sub(f.now), next.Retain); kept == 0 {
			done = 0 // both are swept row by row
		}
	}
	m := move{
		{
			`INSERT INTO {db}refrain_done (id, bucket, fence, token, fingerprint, created, settled, retain, forget, kept)
SELECT id, ?, fence, ?, fingerprint, created, ?, ?, ?, ? FROM {db}refrain_live WHERE ` + sameLive + " FOR UPDATE",
			append([]any{
				int64(done), next.Token[:], column(f.now), column(next.Retain), column(next.Forget), int64(kept),
			}, f.sameLive()...),
		},
		{"DELETE FROM {db}refrain_live WHERE id = ? AND fence = ?", []any{f.id[:], next.Fence}},
	}
	if replayed {
		m = append(m, statement{
			"INSERT INTO {db}refrain_outcomes (fence, bucket, record) VALUES (?, ?, ?)",
			[]any{next.Fence, int64(kept), stored(f.id, next)},
		})
	}
	return m
}

// forgetting removes what is done, and leaves its fence behind.
func forgetting(f *found) move {
	d := &f.done.record
	return move{
		{
			"DELETE FROM {db}refrain_done WHERE id = ? AND bucket = ? AND fence = ?",
			[]any{f.id[:], int64(f.done.bucket), d.Fence},
		},
		{
			"DELETE FROM {db}refrain_outcomes WHERE fence = ? AND bucket = ?", []any{d.Fence, int64(f.done.kept)},
		},
		{
			`INSERT INTO {db}refrain_live (id, state, token, fence, fingerprint, created, lease) VALUES (?, 0, ?, ?, ?, ?, ?)`,
			[]any{f.id[:], d.Token[:], d.Fence, d.Fingerprint[:], column(d.Created), column(f.now)},
		},
	}
}

// run makes the move in a transaction of its own, in one round trip, and reports whether what was found was still there.
func (s *Store) run(ctx context.Context, m move) (made bool, err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	var query strings.Builder
	query.WriteString("START TRANSACTION;\n")
	var args []any
	for i, st := range m {
		query.WriteString(strings.ReplaceAll(st.query, "{db}", "") + ";\n")
		args = append(args, st.args...)
		if i == 0 {
			query.WriteString("SET @refrain_n = ROW_COUNT();\n")
		}
	}
	query.WriteString(`SET @refrain_do = IF(@refrain_n = 1, 'COMMIT', 'DO 0');
PREPARE refrain_do FROM @refrain_do;
EXECUTE refrain_do;
SELECT @refrain_n`)
	var n int
	if err := conn.QueryRowContext(ctx, query.String(), args...).Scan(&n); err != nil {
		return false, errors.Join(err, abandon(ctx, conn))
	}
	if n != 1 {
		return false, abandon(ctx, conn)
	}
	return true, nil
}
