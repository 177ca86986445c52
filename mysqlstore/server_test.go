package mysqlstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/refrain-dev/refrain/internal/servers"
)

// The server that most tests share; each has a database of its own there.
var (
	sharedServer = sync.OnceValues(func() (*servers.MariaDB, error) {
		dir, err := os.MkdirTemp("", "refrain-server-")
		if err != nil {
			return nil, err
		}
		return servers.StartMariaDB(context.Background(), dir)
	})
	sharedUsed atomic.Bool
	databases  atomic.Int64
)

func TestMain(m *testing.M) {
	code := m.Run()
	if sharedUsed.Load() {
		if s, err := sharedServer(); err == nil {
			_ = s.Kill()
			_ = os.RemoveAll(s.Dir)
		}
	}
	os.Exit(code)
}

func server(tb testing.TB) *servers.MariaDB {
	tb.Helper()
	sharedUsed.Store(true)
	s, err := sharedServer()
	if missing := (*servers.Missing)(nil); errors.As(err, &missing) {
		tb.Skip(missing)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return s
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
