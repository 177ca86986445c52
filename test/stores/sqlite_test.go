package stores

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/sqlitestore"
)

// startSQLite makes room for files.
func startSQLite(t *testing.T) func() opener {
	dir := scratch(t)
	var places atomic.Int64
	return func() opener {
		file := filepath.Join(dir, strconv.FormatInt(places.Add(1), 10))
		return func() (refrain.Store, error) {
			return sqlitestore.Open(context.Background(), file, sqlitestore.Config{})
		}
	}
}

// scratch returns a folder in memory, where there is one: what is checked here does not need a disk.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "refrain-stores-") //nolint:usetesting // that is on the disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
