//go:build unix

package crashtest

import (
	"context"
	"testing"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// apart returns an engine on n hosts of a network, whose proxies are cut off from it.
func apart(name, tier string, n int, start func(t *testing.T, l *lan) (url string)) (*engine, *lan) {
	l := &lan{}
	e := &engine{name: name, tier: tier}
	e.start = func(t *testing.T) string {
		*l = *startLAN(t, e, n)
		return start(t, l)
	}
	e.faults = []fault{{name: "partition between a proxy and the store", strike: l.cutProxy, landed: saw}}
	return e, l
}

func redisApart() *engine {
	e, _ := apart("redis", "process", 1, func(t *testing.T, l *lan) string {
		return servertest.Start(t, func(ctx context.Context, dir string) (*servers.Redis, error) {
			return l.machines[0].StartRedis(ctx, dir)
		}).URL()
	})
	return e
}

func sentinelApart(query string) *engine {
	var all *servers.RedisSentinel
	e, l := apart("redis+sentinel"+query, "best-effort", 3, func(t *testing.T, l *lan) string {
		all = servertest.Start(t, func(ctx context.Context, dir string) (*servers.RedisSentinel, error) {
			return servers.StartRedisSentinelOn(ctx, dir, [3]*servers.Host(l.machines))
		})
		return all.URL() + query
	})
	e.lossy = query == ""
	split := func(c *campaign) error {
		return l.splitBrain(c, all, func() error {
			if !e.lossy {
				return c.failsClosed()
			}
			c.awaitOrders(50, c.random)
			return nil
		})
	}
	if !e.lossy {
		e.faults = nil // what a proxy sees of its own partition is the same
	}
	e.faults = append(e.faults, fault{name: "partition between the master and the rest", strike: split, landed: saw})
	return e
}

func postgresApart() *engine {
	e, _ := apart("postgres", "strict", 1, func(t *testing.T, l *lan) string {
		server := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
			return l.machines[0].StartPostgres(ctx, dir)
		})
		migrate(t, server.URL("postgres"))
		return server.URL("postgres")
	})
	return e
}

func postgresPairApart() *engine {
	e, l := apart("postgres, synchronous standby", "strict", 2, func(t *testing.T, l *lan) string {
		return startPair(t, [2]*servers.Host(l.machines), "synchronous_standby_names=*").primary.URL("postgres")
	})
	e.faults = []fault{{name: "partition between it and the standby", strike: l.cutStandby, landed: saw}}
	return e
}

func mariadbApart() *engine {
	e, _ := apart("mariadb", "strict", 1, func(t *testing.T, l *lan) string {
		server := servertest.Start(t, func(ctx context.Context, dir string) (*servers.MariaDB, error) {
			return l.machines[0].StartMariaDB(ctx, dir)
		})
		migrate(t, server.URL())
		return server.URL()
	})
	return e
}

func mariadbPairApart() *engine {
	e, l := apart("mariadb, semi-synchronous replica", "strict", 2, func(t *testing.T, l *lan) string {
		return startMariadbs(t, [2]*servers.Host(l.machines)).primary.URL()
	})
	e.faults = []fault{{name: "partition between it and the replica", strike: l.cutStandby, landed: saw}}
	return e
}
