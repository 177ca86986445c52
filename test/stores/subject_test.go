package stores

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/mysqlstore"
	"github.com/refrain-dev/refrain/pebblestore"
	"github.com/refrain-dev/refrain/pgstore"
	"github.com/refrain-dev/refrain/redisstore"
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
		return func() opener {
			if _, err := server.Call(context.Background(), "FLUSHALL"); err != nil {
				t.Fatal(err)
			}
			return func() (refrain.Store, error) {
				return redisstore.Open(context.Background(), server.URL(), redisstore.Config{})
			}
		}
	}, 20_000, 8},
	"mysqlstore":  {startMySQL, 20_000, 8},
	"pgstore":     {startPostgres, 20_000, 8},
	"sqlitestore": {startSQLite, 20_000, 8},
}

// startMariaDB starts a server that does not wait for the disk: it is not killed here.
func startMariaDB(t *testing.T) *servers.MariaDB {
	return servertest.Start(t, func(ctx context.Context, dir string) (*servers.MariaDB, error) {
		return servers.StartMariaDB(ctx, dir, "--innodb-flush-log-at-trx-commit=0")
	})
}

func startMySQL(t *testing.T) func() opener {
	server := startMariaDB(t)
	if err := mysqlstore.Migrate(t.Context(), server.URL()); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", fmt.Sprintf("refrain@tcp(%s)/refrain", servers.Address(server.Port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return func() opener {
		for _, table := range []string{"refrain_live", "refrain_done", "refrain_outcomes"} {
			if _, err := db.Exec("DELETE FROM " + table); err != nil {
				t.Fatal(err)
			}
		}
		return func() (refrain.Store, error) {
			return mysqlstore.Open(context.Background(), server.URL(), mysqlstore.Config{})
		}
	}
}

// startPostgres starts a server that does not wait for the disk: nothing is lost here.
func startPostgres(t *testing.T) func() opener {
	server := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
		return servers.StartPostgres(ctx, dir, "fsync=off")
	})
	url := server.URL("postgres")
	if err := pgstore.Migrate(t.Context(), url, ""); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return func() opener {
		// Not the rows by which the store sees that it knows of all buckets.
		if _, err := db.Exec("DELETE FROM refrain.live; DELETE FROM refrain.done WHERE id <> ''; DELETE FROM refrain.outcome WHERE fence <> 0"); err != nil {
			t.Fatal(err)
		}
		return func() (refrain.Store, error) { return pgstore.Open(context.Background(), url, pgstore.Config{}) }
	}
}
