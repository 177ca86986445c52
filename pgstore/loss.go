package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/refrain-dev/refrain"
)

// A loss is a bucket that lacks its line in the table bucket, or its partition or the first row in it.
type loss struct {
	Of     string
	Bucket int64
	Listed bool // it has its line
}

// lossesQuery finds them in a schema.
const lossesQuery = `SELECT b.of, b.bucket, true FROM %[1]s.bucket b
WHERE NOT EXISTS (SELECT FROM %[1]s.done d WHERE b.of = 'done' AND d.id = '' AND d.bucket = b.bucket)
	AND NOT EXISTS (SELECT FROM %[1]s.outcome o WHERE b.of = 'outcome' AND o.fence = 0 AND o.bucket = b.bucket)
UNION ALL
SELECT 'done', d.bucket, false FROM %[1]s.done d
WHERE d.id = '' AND NOT EXISTS (SELECT FROM %[1]s.bucket b WHERE b.of = 'done' AND b.bucket = d.bucket)
UNION ALL
SELECT 'outcome', o.bucket, false FROM %[1]s.outcome o
WHERE o.fence = 0 AND NOT EXISTS (SELECT FROM %[1]s.bucket b WHERE b.of = 'outcome' AND b.bucket = o.bucket)`

// losses returns what is lost. A server process that merely does not know of every bucket ends, and another one is asked.
func (s *Store) losses(ctx context.Context) (all []loss, err error) {
	complete := fmt.Sprintf("SELECT (SELECT seen FROM %s), (SELECT seen FROM %s)", s.in("all_of_done"), s.in("all_of_outcome"))
	err = s.retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, complete)
		return err
	})
	if codeOf(err) != codeBehind {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, fmt.Sprintf(lossesQuery, pgx.Identifier{s.cfg.Schema}.Sanitize()))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[loss])
}

// remark says what is lost and what to do about it.
func (l loss) remark(schema string) refrain.Remark {
	r := refrain.Remark{Grade: refrain.GradeFault, Subject: "buckets"}
	if !l.Listed {
		r.Text = fmt.Sprintf("calls are refused, for the line of bucket %[1]d in %[2]s.bucket is missing: "+
			"INSERT INTO %[2]s.bucket VALUES ('%[3]s', %[1]d, %[2]s.bucket_ends(%[1]d))", l.Bucket, schema, l.Of)
		return r
	}
	price := map[string]string{"done": "what was in it may run again", "outcome": "the answers in it may be gone"}[l.Of]
	r.Text = fmt.Sprintf("calls are refused, for the partition %[1]s.%[2]s_%[3]d_%[4]d is lost, or its first row: restore it or, "+
		"if %[5]s: DELETE FROM %[1]s.bucket WHERE of = '%[2]s' AND bucket = %[6]d",
		schema, l.Of, l.Bucket>>40, l.Bucket&(1<<40-1), price, l.Bucket)
	return r
}
