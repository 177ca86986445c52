package mysqlstore

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// shared is the server that most tests share; each has a database of its own there.
var shared = servertest.NewShared(func(ctx context.Context, dir string) (*servers.MariaDB, error) {
	return servers.StartMariaDB(ctx, dir)
})

var databases atomic.Int64

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

func server(tb testing.TB) *servers.MariaDB {
	tb.Helper()
	return shared.Get(tb)
}

// database returns the URL of a new database with the schema.
func database(tb testing.TB, on *servers.MariaDB) string {
	tb.Helper()
	url := empty(tb, on)
	if err := Migrate(tb.Context(), url); err != nil {
		tb.Fatalf("Migrate: %v", err)
	}
	return url
}

// empty returns the URL of a new database without tables.
func empty(tb testing.TB, on *servers.MariaDB) string {
	tb.Helper()
	name := fmt.Sprint("refrain_", databases.Add(1))
	cfg, err := parseURL(on.URL())
	if err != nil {
		tb.Fatal(err)
	}
	var c Config
	c.setDefaults()
	db, err := openDB(cfg, &c)
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE DATABASE " + name); err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSuffix(on.URL(), "/refrain") + "/" + name
}

func openStore(tb testing.TB, url string, cfg Config) *Store {
	tb.Helper()
	s, err := Open(context.Background(), url, cfg)
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	return s
}
