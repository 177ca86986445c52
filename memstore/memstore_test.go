package memstore_test

import (
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) refrain.Store { return memstore.New(memstore.Config{}) })
}

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(*testing.B) refrain.Store { return memstore.New(memstore.Config{}) })
}
