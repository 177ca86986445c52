package pebblestore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/refrain-dev/refrain"
)

// List implements refrain.Lister.
//
// Unknown operations are all in one generation, in the order of their IDs, or among the running ones, which are in memory: a
// page of them reads that part of the disk and nothing else. Done and expired ones are in as many generations as there are
// lifetimes and times, and a page of them reads a part of each. Either way every operation that is listed is then looked up
// as for Get, with its outcome.
func (s *Store) List(ctx context.Context, q refrain.ListQuery) ([]refrain.Listed, error) {
	q.Limit = cmp.Or(q.Limit, 100)
	var page []refrain.Listed
	for {
		ids, err := s.candidates(&q)
		if err != nil {
			return nil, fmt.Errorf("listing: %w", err)
		}
		for _, id := range ids {
			r, err := s.Get(ctx, id)
			switch {
			case err != nil:
				return nil, err
			case ctx.Err() != nil:
				return nil, fmt.Errorf("listing: %w", context.Cause(ctx))
			case r.State != refrain.StateAbsent && (q.State == refrain.StateAbsent || r.State == q.State):
				r.Outcome = nil
				page = append(page, refrain.Listed{ID: id, Record: r})
			}
			if len(page) == q.Limit {
				return page, nil
			}
		}
		if len(ids) < q.Limit || !after(&q.From, ids[len(ids)-1]) {
			return page, nil
		}
	}
}

// after sets id to the one that follows last, and reports whether there is one.
func after(id *refrain.ID, last refrain.ID) bool {
	*id = last
	for i := len(id) - 1; i >= 0; i-- {
		id[i]++
		if id[i] != 0 {
			return true
		}
	}
	return false
}

// candidates returns the first IDs that the query may be about, in order and up to its limit. Fewer say that there are no more.
func (s *Store) candidates(q *refrain.ListQuery) ([]refrain.ID, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	// Memory first: what ends meanwhile leaves it for the disk. What the disk shows too early is found out by the look-up.
	ids := s.live.ids(nil, q)
	for _, g := range s.heads.list() {
		if q.State == refrain.StateRunning || q.State == refrain.StateUnknown && g.generation != eternal {
			continue
		}
		var err error
		if ids, err = s.headIDs(ids, g.generation, q); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(ids, compareIDs)
	ids = slices.Compact(ids)
	return ids[:min(len(ids), q.Limit)], nil
}

// headIDs appends the IDs of the generation, from the query's on and up to its limit.
func (s *Store) headIDs(ids []refrain.ID, g generation, q *refrain.ListQuery) ([]refrain.ID, error) {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return nil, refrain.ErrClosed
	}
	_, end := rangeOf(prefixHead, g)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: appendHeadKey(nil, g, q.From), UpperBound: end})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", refrain.ErrUnavailable, err)
	}
	n := 0
	for it.First(); it.Valid() && n < q.Limit; it.Next() {
		ids = append(ids, refrain.ID(it.Key()[headKeySize-idSize:]))
		n++
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, fmt.Errorf("%w: %w", refrain.ErrUnavailable, err)
	}
	return ids, nil
}

// ids appends the IDs of what is held, from the query's on and up to its limit or a little more. Shards are in the order of
// the IDs.
func (l *live) ids(ids []refrain.ID, q *refrain.ListQuery) []refrain.ID {
	n := 0
	for i := int(q.From[0]); i < len(l.shards) && n < q.Limit; i++ {
		sh := &l.shards[i]
		sh.mu.Lock()
		for id := range sh.records {
			if compareIDs(id, q.From) >= 0 {
				ids = append(ids, id)
				n++
			}
		}
		sh.mu.Unlock()
	}
	return ids
}

func compareIDs(a, b refrain.ID) int { return bytes.Compare(a[:], b[:]) }
