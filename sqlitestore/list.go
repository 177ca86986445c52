package sqlitestore

import (
	"context"
	"fmt"

	"github.com/refrain-dev/refrain"
)

// What lists read. An operation that is not done has an index of its own, for they are few among many.
const (
	selectAll = "SELECT id, head, (SELECT clock FROM refrain_store) FROM refrain_operations WHERE id >= ? ORDER BY id LIMIT ?"

	selectOpen = "SELECT id, head, (SELECT clock FROM refrain_store) FROM refrain_operations INDEXED BY refrain_open " +
		"WHERE due IS NULL AND id >= ? ORDER BY id LIMIT ?"
)

// scanRows is how many rows are read at a time.
const scanRows = 500

// List implements refrain.Lister.
func (s *Store) List(ctx context.Context, q refrain.ListQuery) ([]refrain.Listed, error) {
	if q.Limit == 0 {
		q.Limit = 100
	}
	all, err := s.list(ctx, &q)
	if err != nil {
		return nil, fmt.Errorf("listing operations: %w", err)
	}
	return all, nil
}

func (s *Store) list(ctx context.Context, q *refrain.ListQuery) (all []refrain.Listed, err error) {
	query := selectAll
	if q.State == refrain.StateRunning || q.State == refrain.StateUnknown {
		query = selectOpen
	}
	from := q.From
	for len(all) < q.Limit {
		if err := s.ready(ctx); err != nil {
			return nil, err
		}
		var rows []refrain.Listed
		err := patiently(ctx, func() (err error) {
			rows, err = s.listRows(ctx, query, from)
			return err
		})
		if err != nil {
			return nil, s.unread(err)
		}
		for i := range rows {
			if state := rows[i].Record.State; state != refrain.StateAbsent && (q.State == refrain.StateAbsent || state == q.State) &&
				len(all) < q.Limit {
				all = append(all, rows[i])
			}
		}
		if len(rows) < scanRows {
			break
		}
		if from = after(rows[len(rows)-1].ID); from == (refrain.ID{}) {
			break
		}
	}
	return all, nil
}

// listRows reads some rows as of now, in the order of their IDs.
func (s *Store) listRows(ctx context.Context, query string, from refrain.ID) (all []refrain.Listed, err error) {
	rows, err := s.read.QueryContext(ctx, query, from[:], scanRows)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id []byte
		var w row
		var recorded int64
		if err := rows.Scan(&id, &w.head, &recorded); err != nil {
			return nil, err
		}
		l := refrain.Listed{}
		copy(l.ID[:], id)
		l.Record = s.decode(l.ID, w).At(s.now(recorded))
		l.Record.Outcome = nil
		all = append(all, l)
	}
	return all, rows.Err()
}

// after returns the ID that follows, the zero ID after the last.
func after(id refrain.ID) refrain.ID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			break
		}
	}
	return id
}
