package pgstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"testing"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// shared is a server that the tests of a package use together, each in a schema of its own. It is no durable one.
var shared = servertest.NewShared(func(ctx context.Context, dir string) (*servers.Postgres, error) {
	return servers.StartPostgres(ctx, dir, "fsync=off", "full_page_writes=off", "max_connections=300")
})

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// newSchema returns the URL of a database and the name of a schema in it that has the store's tables.
func newSchema(tb testing.TB) (url, schema string) {
	tb.Helper()
	url, schema = shared.Get(tb).URL("postgres"), randomName()
	if err := Migrate(context.Background(), url, schema); err != nil {
		tb.Fatalf("Migrate: %v", err)
	}
	return url, schema
}

func randomName() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return fmt.Sprintf("store_%s", hex.EncodeToString(b[:]))
}

func openStore(tb testing.TB, url string, cfg Config) *Store {
	tb.Helper()
	s, err := Open(context.Background(), url, cfg)
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// newStore returns a store in a schema of its own.
func newStore(tb testing.TB) *Store {
	tb.Helper()
	url, schema := newSchema(tb)
	return openStore(tb, url, Config{Schema: schema})
}
