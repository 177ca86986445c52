package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/refrain-dev/refrain"
)

// A turn is a transaction of the writer's that has the lock.
type turn struct {
	*writer

	now     time.Time // of everything that happens in it
	fence   uint64    // the greatest that was handed out
	changed bool
}

func (t *turn) begin() error {
	var recorded int64
	err := t.conn.QueryRowContext(context.Background(), selectShared).Scan(&t.fence, &recorded)
	t.now = t.store.now(recorded)
	return err
}

func (t *turn) end() error {
	if !t.changed {
		return t.exec("ROLLBACK")
	}
	_, err := t.conn.ExecContext(context.Background(), updateShared, t.fence, t.now.UnixMicro())
	if err != nil {
		return err
	}
	return t.exec("COMMIT")
}

// decide makes a request's transition.
func (t *turn) decide(r *request) error {
	var w row
	if err := w.scan(t.find.QueryRowContext(context.Background(), r.id[:])); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	next, written := r.apply(t.store.decode(r.id, w), t.now, &t.fence)
	if !written {
		return nil
	}
	return t.write(r.id, next)
}

// write stores a record, or removes what is stored if it is absent.
func (t *turn) write(id refrain.ID, r refrain.Record) (err error) {
	t.changed = true
	if r.State == refrain.StateAbsent {
		_, err = t.drop.ExecContext(context.Background(), id[:])
		return err
	}
	w := encode(id, r)
	_, err = t.put.ExecContext(context.Background(), id[:], w.due, w.head, w.record)
	return err
}
