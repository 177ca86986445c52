package mysqlstore

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
	return reopening{openStore(t, r.url, Config{}), r.url}
}

func TestContract(t *testing.T) {
	t.Parallel()
	url := database(t, server(t))
	storetest.Run(t, func(t *testing.T) refrain.Store {
		return reopening{openStore(t, url, Config{}), url}
	})
}

func BenchmarkStore(b *testing.B) {
	url := database(b, server(b))
	storetest.Bench(b, func(b *testing.B) refrain.Store { return openStore(b, url, Config{}) })
}
