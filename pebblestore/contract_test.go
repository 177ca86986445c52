package pebblestore

import (
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/storetest"
)

// reopening is a store on the disk that the suite can restart.
type reopening struct {
	*Store
	dir string
}

func (r reopening) Reopen(t *testing.T) refrain.Store {
	return reopening{openStore(t, r.dir, Config{}), r.dir}
}

func openStore(tb testing.TB, dir string, cfg Config) *Store {
	tb.Helper()
	s, err := Open(dir, cfg)
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	return s
}

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) refrain.Store {
		dir := t.TempDir()
		return reopening{openStore(t, dir, Config{}), dir}
	})
}

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) refrain.Store { return openStore(b, b.TempDir(), Config{}) })
}
