package servers_test

import (
	"context"
	"testing"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

func TestMariaDBStartsAgainAfterAKill(t *testing.T) {
	t.Parallel()
	m := servertest.Start(t, func(ctx context.Context, dir string) (*servers.MariaDB, error) {
		return servers.StartMariaDB(ctx, dir, "--log-bin")
	})
	if err := m.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}
