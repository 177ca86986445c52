package stores

import (
	"context"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/pebblestore"
	"github.com/refrain-dev/refrain/redisstore"
	"github.com/refrain-dev/refrain/sqlitestore"
)

// A subject is a store under test.
type subject struct {
	// start starts what the store needs, for the time of a test, and returns what makes room for records: each time where there
	// are none yet.
	start func(t *testing.T) (place func() opener)
	calls int // in each of ten histories
	// clients make them; if zero, 16. Where an answer takes long, fewer overlap as much, and are checked sooner.
	clients int
}

// An opener opens a store where its records are; those of one that outlives Close are there again.
type opener func() (refrain.Store, error)

var subjects = map[string]subject{
	"memstore": {func(*testing.T) func() opener {
		return func() opener {
			return func() (refrain.Store, error) { return memstore.New(memstore.Config{}), nil }
		}
	}, 16_000, 0},
	"pebblestore": {func(t *testing.T) func() opener {
		return func() opener {
			dir := t.TempDir()
			return func() (refrain.Store, error) { return pebblestore.Open(dir, pebblestore.Config{}) }
		}
	}, 5_000, 0},
	"redisstore": {func(t *testing.T) func() opener {
		server := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Redis, error) {
			return servers.StartRedis(ctx, dir)
		})
		var places atomic.Int64
		return func() opener {
			cfg := redisstore.Config{Prefix: "place" + strconv.FormatInt(places.Add(1), 10)}
			return func() (refrain.Store, error) { return redisstore.Open(context.Background(), server.URL(), cfg) }
		}
	}, 20_000, 8},
	"sqlitestore": {func(t *testing.T) func() opener {
		dir := scratch(t)
		var places atomic.Int64
		return func() opener {
			file := filepath.Join(dir, strconv.FormatInt(places.Add(1), 10))
			return func() (refrain.Store, error) {
				return sqlitestore.Open(context.Background(), file, sqlitestore.Config{})
			}
		}
	}, 20_000, 8},
}
