package sqlitestore

import (
	"path/filepath"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/storetest"
)

// reopening is a store in a file that the suite can restart.
type reopening struct {
	*Store
	file string
}

func (r reopening) Reopen(t *testing.T) refrain.Store {
	return reopening{openStore(t, r.file, Config{}), r.file}
}

func openStore(tb testing.TB, file string, cfg Config) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), file, cfg)
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	return s
}

func newFile(tb testing.TB) string {
	tb.Helper()
	return filepath.Join(tb.TempDir(), "refrain.db")
}

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) refrain.Store {
		file := newFile(t)
		return reopening{openStore(t, file, Config{}), file}
	})
}
