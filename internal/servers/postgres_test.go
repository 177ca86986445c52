package servers_test

import (
	"context"
	"testing"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// TestPostgres starts a server, a standby of it that takes its place, and a pool in front of it.
func TestPostgres(t *testing.T) {
	t.Parallel()
	primary := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
		return servers.StartPostgres(ctx, dir, "fsync=off")
	})
	standby := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
		return primary.StartStandby(ctx, dir, "standby")
	})
	servertest.Start(t, func(ctx context.Context, dir string) (*servers.PgBouncer, error) {
		return servers.StartPgBouncer(ctx, dir, primary, 5)
	})
	for range 3 {
		if err := primary.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := primary.Start(t.Context()); err != nil {
			t.Fatalf("starting a server that was killed: %v", err)
		}
	}
	if err := standby.Promote(t.Context()); err != nil {
		t.Error(err)
	}
}
