package memstore

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/refrain-dev/refrain"
)

// List implements refrain.Lister. It looks at every record that the store holds.
func (s *Store) List(ctx context.Context, q refrain.ListQuery) ([]refrain.Listed, error) {
	if q.Limit == 0 {
		q.Limit = 100
	}
	var all []refrain.Listed
	for i := range s.shards {
		switch {
		case s.closed.Load():
			return nil, refrain.ErrClosed
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		}
		all = s.shards[i].list(all, &q)
	}
	slices.SortFunc(all, func(a, b refrain.Listed) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all[:min(len(all), q.Limit)], nil
}

// list appends what the query asks for, whatever its limit.
func (sh *shard) list(all []refrain.Listed, q *refrain.ListQuery) []refrain.Listed {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := time.Now()
	for id, p := range sh.records {
		r := p.unpack().At(now)
		if r.State == refrain.StateAbsent || q.State != refrain.StateAbsent && r.State != q.State ||
			bytes.Compare(id[:], q.From[:]) < 0 {
			continue
		}
		r.Outcome = nil
		all = append(all, refrain.Listed{ID: id, Record: r})
	}
	return all
}
