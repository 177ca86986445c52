package mysqlstore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/refrain-dev/refrain"
)

// List implements refrain.Lister. A page of operations that run or are unknown reads the small table of those alone.
func (s *Store) List(ctx context.Context, q refrain.ListQuery) ([]refrain.Listed, error) {
	list, err := s.list(ctx, &q)
	if err != nil {
		return nil, fmt.Errorf("listing: %w", err)
	}
	return list, nil
}

// The conditions on the rows that are in a state. What cannot be read is unknown.
var (
	liveIn = map[refrain.State]string{
		refrain.StateAbsent:  "state <> 0",
		refrain.StateRunning: "state = 1 AND lease > @refrain_now",
		refrain.StateUnknown: "state > 1 OR state = 1 AND lease <= @refrain_now",
	}
	doneIn = map[refrain.State]string{
		refrain.StateAbsent:  "forget > @refrain_now",
		refrain.StateDone:    "retain > @refrain_now AND forget > @refrain_now",
		refrain.StateExpired: "retain <= @refrain_now AND forget > @refrain_now",
	}
)

const (
	listLive = `SELECT 0, id, state, token, fence, fingerprint, created, lease, 0, 0, 0, 0, 0, NULL FROM refrain_live
WHERE id >= ? AND (%s) ORDER BY id LIMIT ?`
	listDone = `SELECT 1, id, 3, token, fence, fingerprint, created, 0, settled, retain, forget, bucket, kept, NULL FROM refrain_done
WHERE id >= ? AND (%s) ORDER BY id LIMIT ?`
)

func (s *Store) list(ctx context.Context, q *refrain.ListQuery) ([]refrain.Listed, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	ctx, cancel := s.bound(ctx)
	defer cancel()
	limit := cmp.Or(q.Limit, 100)
	var parts []string
	var args []any
	for _, p := range []struct{ query, where string }{{listLive, liveIn[q.State]}, {listDone, doneIn[q.State]}} {
		if p.where != "" {
			parts = append(parts, "("+fmt.Sprintf(p.query, p.where)+")")
			args = append(args, q.From[:], limit)
		}
	}
	query := "SET @refrain_now = " + nowSQL + ";\n" + parts[0]
	if len(parts) > 1 {
		query += " UNION ALL " + parts[1]
	}
	page, err := s.page(ctx, query+";\nSELECT @refrain_now", args)
	return page[:min(len(page), limit)], err
}

// page runs the query and returns what it finds in the order of the IDs.
func (s *Store) page(ctx context.Context, query string, args []any) ([]refrain.Listed, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var page []*row
	var list []refrain.Listed
	for rows.Next() {
		r := &row{}
		id, err := r.scan(rows)
		if err != nil {
			return nil, unavailable(err)
		}
		page = append(page, r)
		list = append(list, refrain.Listed{ID: id})
	}
	now, err := nextTime(rows)
	if err != nil {
		return nil, unavailable(err)
	}
	for i, r := range page {
		f := &found{id: list[i].ID, now: now}
		f.add(r)
		list[i].Record = f.head()
	}
	slices.SortFunc(list, func(a, b refrain.Listed) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return list, nil
}
