package storage

import (
	"context"
	"fmt"

	"github.com/refrain-dev/refrain"
)

// An absent store stands for one that has not answered since this process began. Nothing is ever claimed in it.
type absent struct{ awaited *awaited }

var (
	_ refrain.Store  = absent{}
	_ refrain.Lister = absent{}
)

var errAbsent = fmt.Errorf("%w: it is not open yet", refrain.ErrUnavailable)

// Claim implements refrain.Store.
func (absent) Claim(context.Context, refrain.Claim) (refrain.Decision, error) {
	return refrain.Decision{}, errAbsent
}

// Settle implements refrain.Store. Whoever gives back a claim that failed need not try again: it was never made.
func (absent) Settle(_ context.Context, s refrain.Settlement) (refrain.Record, error) {
	if s.Ending == refrain.Released {
		return refrain.Record{}, nil
	}
	return refrain.Record{}, refrain.ErrStale
}

// Renew implements refrain.Store.
func (absent) Renew(context.Context, refrain.Renewal) error { return refrain.ErrStale }

// Get implements refrain.Store.
func (absent) Get(context.Context, refrain.ID) (refrain.Record, error) {
	return refrain.Record{}, errAbsent
}

// List implements refrain.Lister.
func (absent) List(context.Context, refrain.ListQuery) ([]refrain.Listed, error) {
	return nil, errAbsent
}

// Tier implements refrain.Tiered.
func (absent) Tier() refrain.Tier { return "unknown" }

// Err says why the store is not open.
func (a absent) Err() error { return fmt.Errorf("not open yet: %w", *a.awaited.why.Load()) }

// Close implements refrain.Store.
func (absent) Close() error { return nil }
