//go:build unix

package crashtest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

func redisAlone() *engine {
	var server *servers.Redis
	return &engine{
		name: "redis", tier: "process",
		start: func(t *testing.T) string {
			server = servertest.Start(t, func(ctx context.Context, dir string) (*servers.Redis, error) {
				return servers.StartRedis(ctx, dir)
			})
			return server.URL()
		},
		faults: serverFaults(func() process { return server }),
	}
}

// redisSentinel is a master with two replicas. With the query, a transition counts only when both replicas have it: then no
// failover can lose it, and while one is away there are no new claims.
func redisSentinel(query string) *engine {
	var all *servers.RedisSentinel
	e := &engine{
		name: "redis+sentinel" + query, tier: "best-effort", lossy: query == "", variant: query != "",
		start: func(t *testing.T) string {
			all = servertest.Start(t, func(ctx context.Context, dir string) (*servers.RedisSentinel, error) {
				return servers.StartRedisSentinel(ctx, dir)
			})
			return all.URL() + query
		},
	}
	e.faults = []fault{{name: "failover", strike: func(c *campaign) error { return failOver(c, all) }, landed: refused}}
	if query != "" {
		lose := func(c *campaign) error { return loseReplica(c, all) }
		e.faults = append(e.faults, fault{name: "loss of a replica", strike: lose, landed: saw})
	}
	return e
}

// failOver kills the master, and brings it back as a replica of the next.
func failOver(c *campaign, all *servers.RedisSentinel) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	master, err := all.Master(ctx)
	if err != nil {
		return err
	}
	if err := master.Kill(); err != nil {
		return err
	}
	c.await("another master", func() bool {
		next, err := all.Master(ctx)
		return err == nil && next != master
	})
	return master.Start(ctx)
}

// loseReplica takes a replica away whose word every claim needs: until it is back nothing may run.
func loseReplica(c *campaign, all *servers.RedisSentinel) error {
	ctx := c.t.Context()
	master, err := all.Master(ctx)
	if err != nil {
		return err
	}
	replica := all.Servers[(slices.Index(all.Servers, master)+1)%len(all.Servers)]
	if err := replica.Kill(); err != nil {
		return err
	}
	if err := c.failsClosed(); err != nil {
		return err
	}
	return replica.Start(ctx)
}

// failsClosed waits until what was confirmed before the fault has run, and then for refusals, during which nothing may run.
func (c *campaign) failsClosed() error {
	c.t.Helper()
	refusals := func(n int64) {
		goal := c.closed.Load() + n
		c.await("refusals", func() bool { return c.closed.Load() >= goal })
	}
	refusals(8)
	c.await("the API to come to rest", func() bool { return c.api.InFlight() == 0 })
	before := c.api.Orders()
	refusals(16)
	if n := c.api.Orders() - before; n > 0 {
		return fmt.Errorf("%d orders reached the API although no claim could be confirmed", n)
	}
	c.seen++
	return nil
}
