package redisstore

import (
	"context"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
	"github.com/refrain-dev/refrain/storetest"
)

func startRedis(tb testing.TB, settings ...string) *servers.Redis {
	tb.Helper()
	return servertest.Start(tb, func(ctx context.Context, dir string) (*servers.Redis, error) {
		return servers.StartRedis(ctx, dir, settings...)
	})
}

// openStore opens a store that is closed when the test ends.
func openStore(tb testing.TB, url string, cfg Config) *Store {
	tb.Helper()
	s, err := Open(context.Background(), url, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// killed is a store whose server the suite restarts by killing it.
type killed struct {
	*Store

	server *servers.Redis
}

func (k killed) Reopen(t *testing.T) refrain.Store {
	if err := k.server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := k.server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return killed{openStore(t, k.server.URL(), Config{Identity: k.Identity()}), k.server}
}

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) refrain.Store {
		server := startRedis(t)
		return killed{openStore(t, server.URL(), Config{}), server}
	})
}

func BenchmarkStore(b *testing.B) {
	server := startRedis(b)
	storetest.Bench(b, func(b *testing.B) refrain.Store { return openStore(b, server.URL(), Config{}) })
}
