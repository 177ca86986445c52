package pgstore

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/storetest"
)

// reopening is a store that the suite can restart.
type reopening struct {
	*Store
	url string
}

func (r reopening) Reopen(t *testing.T) refrain.Store {
	return reopening{openStore(t, r.url, r.cfg), r.url}
}

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) refrain.Store {
		url, schema := newSchema(t)
		return reopening{openStore(t, url, Config{Schema: schema}), url}
	})
}

// several are stores of as many processes, which take turns.
type several struct {
	stores []*Store
	turn   *atomic.Uint64
}

func (s several) next() *Store { return s.stores[s.turn.Add(1)%uint64(len(s.stores))] }

func (s several) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	return s.next().Claim(ctx, c)
}

func (s several) Settle(ctx context.Context, e refrain.Settlement) (refrain.Record, error) {
	return s.next().Settle(ctx, e)
}

func (s several) Renew(ctx context.Context, r refrain.Renewal) error { return s.next().Renew(ctx, r) }

func (s several) Get(ctx context.Context, id refrain.ID) (refrain.Record, error) {
	return s.next().Get(ctx, id)
}

func (s several) Close() (err error) {
	for _, one := range s.stores {
		err = errors.Join(err, one.Close())
	}
	return err
}

// TestSeveralProcesses runs the suite on stores of several processes that share a schema: here they fight for operations in the
// database, and not before.
func TestSeveralProcesses(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) refrain.Store {
		url, schema := newSchema(t)
		s := several{turn: new(atomic.Uint64)}
		for range 3 {
			s.stores = append(s.stores, openStore(t, url, Config{Schema: schema}))
		}
		return s
	})
}

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) refrain.Store { return newStore(b) })
}
