package sqlitestore

import (
	"database/sql"

	"github.com/refrain-dev/refrain"
)

// A row is a record as it is stored.
type row struct {
	due    sql.NullInt64
	head   []byte // the record without its outcome
	record []byte // the record with its outcome; nil if it has none
}

func encode(id refrain.ID, r refrain.Record) (w row) {
	if r.State == refrain.StateDone || r.State == refrain.StateExpired {
		due := r.Forget
		if r.State == refrain.StateDone && r.Outcome != nil {
			due = r.Retain // its outcome goes first
		}
		w.due = sql.NullInt64{Int64: due.UnixMicro(), Valid: true}
	}
	if r.Outcome != nil {
		w.record = refrain.AppendRecord(nil, id, r)
	}
	r.Outcome = nil
	w.head = refrain.AppendRecord(nil, id, r)
	return w
}

// decode returns what is stored under the ID: the zero Record when there is no row, and one that is unreadable when there is
// one that cannot be read.
func (s *Store) decode(id refrain.ID, w row) refrain.Record {
	encoded := w.record
	if encoded == nil {
		encoded = w.head
	}
	if encoded == nil {
		return refrain.Record{}
	}
	r, err := refrain.DecodeRecord(id, encoded)
	if err != nil {
		s.log.Error("record is unreadable, its operation counts as unknown", "op", id, "err", err)
		return refrain.Unreadable()
	}
	return r
}

// scan reads a row after the columns of before.
func (w *row) scan(from *sql.Row, before ...any) error {
	return from.Scan(append(before, &w.head, &w.record)...)
}
