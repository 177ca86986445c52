package memstore

import (
	"bytes"
	"context"
	"slices"

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
		all = s.list(all, &s.shards[i], &q)
	}
	slices.SortFunc(all, func(a, b refrain.Listed) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all[:min(len(all), q.Limit)], nil
}

// list appends what the query asks for, whatever its limit.
func (s *Store) list(all []refrain.Listed, sh *shard, q *refrain.ListQuery) []refrain.Listed {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := s.now()
	for id, p := range sh.records {
		r := p.unpack(s.epoch).At(now)
		if r.State == refrain.StateAbsent || q.State != refrain.StateAbsent && r.State != q.State ||
			bytes.Compare(id[:], q.From[:]) < 0 {
			continue
		}
		r.Outcome = nil
		all = append(all, refrain.Listed{ID: id, Record: r})
	}
	return all
}
