package pgstore

import (
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

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) refrain.Store { return newStore(b) })
}
