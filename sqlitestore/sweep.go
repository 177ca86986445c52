package sqlitestore

import (
	"context"
	"time"

	"github.com/refrain-dev/refrain"
)

// What is over is removed in small transactions between the groups: outcomes after their retention, tombstones after theirs.
const (
	sweepEvery = time.Second
	sweepRows  = 256
	sweepBytes = 8 << 20
)

const selectDue = "SELECT id, head, length(record) FROM refrain_operations WHERE due <= ? ORDER BY due LIMIT ?"

// sweep makes one step and returns when to make the next.
func (w *writer) sweep() (wait time.Duration) {
	due, err := w.store.anythingDue()
	if err != nil || !due {
		return sweepEvery
	}
	switch err = w.begin(); {
	case busy(err):
		return longestWait
	case err != nil:
		return sweepEvery
	}
	full := false
	err = w.transact(func(t *turn) (err error) {
		full, err = t.sweep()
		return err
	})
	if err != nil || !full {
		return sweepEvery
	}
	return 0
}

// anythingDue looks without the lock.
func (s *Store) anythingDue() (due bool, err error) {
	const query = "SELECT EXISTS (SELECT 1 FROM refrain_operations WHERE due <= ?)"
	err = s.read.QueryRowContext(context.Background(), query, s.clock.Now().UnixMicro()).Scan(&due)
	return due, err
}

// sweep removes the first of what is over, and reports whether there may be more.
func (t *turn) sweep() (full bool, err error) {
	over, full, err := t.overdue()
	for i := range over {
		if err == nil {
			err = t.expire(&over[i])
		}
	}
	return full, err
}

// A lapsed is a stored operation of which something is over.
type lapsed struct {
	id   refrain.ID
	head []byte
}

// overdue returns the operations of one step, and whether there may be more.
func (t *turn) overdue() (over []lapsed, full bool, err error) {
	rows, err := t.conn.QueryContext(context.Background(), selectDue, t.now.UnixMicro(), sweepRows)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	for bytes := 0; rows.Next(); {
		var id []byte
		var l lapsed
		var size *int
		if err := rows.Scan(&id, &l.head, &size); err != nil {
			return nil, false, err
		}
		copy(l.id[:], id)
		over = append(over, l)
		if size != nil {
			bytes += *size
		}
		if bytes > sweepBytes {
			return over, true, nil
		}
	}
	return over, len(over) == sweepRows, rows.Err()
}

// expire stores what is left of an operation. One that cannot be read stays as it is, for it is unknown.
func (t *turn) expire(l *lapsed) error {
	r, err := refrain.DecodeRecord(l.id, l.head)
	if err != nil {
		t.changed = true
		_, err = t.conn.ExecContext(context.Background(), "UPDATE refrain_operations SET due = NULL WHERE id = ?", l.id[:])
		return err
	}
	return t.write(l.id, r.At(t.now))
}
