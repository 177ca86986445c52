//go:build unix

package crashtest

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// An engine is a kind of store, and what can go wrong with it.
type engine struct {
	name, tier string
	lossy      bool // its faults may take what was acknowledged
	variant    bool // another engine is the same store with other settings: a plain run of the tests kills no proxies of it
	// start starts its servers and returns the store's URL.
	start  func(t *testing.T) string
	site   site // where the proxies run, which start may change
	faults []fault
}

// A process is a server that can be killed, paused and started again.
type process interface {
	Kill() error
	Start(ctx context.Context) error
	Pause() error
	Resume() error
}

// serverFaults are what can happen to the only server of a store.
func serverFaults(server func() process) []fault {
	felt := func(c *campaign) {
		before := c.closed.Load()
		c.await("the store's absence to be felt", func() bool { return c.closed.Load() > before })
	}
	kill := func(c *campaign) error {
		if err := server().Kill(); err != nil {
			return err
		}
		felt(c)
		return server().Start(c.t.Context())
	}
	pause := func(c *campaign) error {
		if err := server().Pause(); err != nil {
			return err
		}
		felt(c)
		return server().Resume()
	}
	return []fault{
		{name: "kill -9 of the server", strike: kill, landed: refused},
		{name: "SIGSTOP of the server", strike: pause, landed: refused},
	}
}

func engines() []*engine {
	return []*engine{
		sqlite(), redisAlone(), redisSentinel(""), redisSentinel("?wait=2&wait_timeout=500ms"),
		redisCluster(""), redisCluster("?wait=1&wait_timeout=500ms"),
		postgres(), postgresPair(true), postgresPair(false), mariadb(), mariadbPair(),
	}
}

// sqlite is one file on which all proxies work. It has no server that could fail.
func sqlite() *engine {
	return &engine{
		name: "sqlite", tier: "strict",
		start: func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "refrain.db") },
	}
}

func postgres() *engine {
	var server *servers.Postgres
	return &engine{
		name: "postgres", tier: "strict",
		start: func(t *testing.T) string {
			server = servertest.Start(t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
				return servers.StartPostgres(ctx, dir)
			})
			migrate(t, server.URL("postgres"))
			return server.URL("postgres")
		},
		faults: serverFaults(func() process { return server }),
	}
}

func mariadb() *engine {
	var server *servers.MariaDB
	return &engine{
		name: "mariadb", tier: "strict",
		start: func(t *testing.T) string {
			server = servertest.Start(t, func(ctx context.Context, dir string) (*servers.MariaDB, error) {
				return servers.StartMariaDB(ctx, dir)
			})
			migrate(t, server.URL())
			return server.URL()
		},
		faults: serverFaults(func() process { return server }),
	}
}
