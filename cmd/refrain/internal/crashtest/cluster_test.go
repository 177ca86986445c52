//go:build unix

package crashtest

import (
	"context"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// redisCluster is three masters with a replica each. With the query, a transition counts only when the replica has it.
func redisCluster(query string) *engine {
	var all *servers.RedisCluster
	return &engine{
		name: "redis+cluster" + query, tier: "best-effort", lossy: query == "", variant: query != "",
		start: func(t *testing.T) string {
			all = servertest.Start(t, func(ctx context.Context, dir string) (*servers.RedisCluster, error) {
				return servers.StartRedisCluster(ctx, dir)
			})
			return all.URL() + query
		},
		faults: []fault{
			{name: "reshard", strike: func(c *campaign) error { return reshard(c, all) }, landed: saw},
			{name: "loss of a master", strike: func(c *campaign) error { return loseMaster(c, all) }, landed: refused},
		},
	}
}

// reshard moves slots from one master to another, with what is in them, and waits until a proxy has asked the wrong one.
func reshard(c *campaign, all *servers.RedisCluster) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	masters, err := all.Masters(ctx)
	if err != nil {
		return err
	}
	n := c.random.IntN(len(masters))
	before := redirections(c, masters)
	if err := all.Move(ctx, masters[n], masters[(n+1)%len(masters)], 1000); err != nil {
		return err
	}
	c.await("a client to be sent elsewhere", func() bool { return redirections(c, masters) > before })
	c.seen++
	c.await("the cluster to be whole again", func() bool { return all.Whole(ctx) == nil })
	return nil
}

// redirected finds how often a server has sent clients to another, for good or for one request.
var redirected = regexp.MustCompile(`errorstat_(?:MOVED|ASK):count=(\d+)`)

// redirections returns how often the servers have sent clients to another.
func redirections(c *campaign, all []*servers.Redis) (sum int) {
	c.t.Helper()
	for _, r := range all {
		stats, err := r.Call(c.t.Context(), "INFO", "errorstats")
		if err != nil {
			c.t.Fatal(err)
		}
		for _, m := range redirected.FindAllStringSubmatch(stats, -1) {
			n, _ := strconv.Atoi(m[1])
			sum += n
		}
	}
	return sum
}

// loseMaster kills a master, and brings it back as a replica of its replica.
func loseMaster(c *campaign, all *servers.RedisCluster) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	masters, err := all.Masters(ctx)
	if err != nil {
		return err
	}
	lost := masters[c.random.IntN(len(masters))]
	if err := lost.Kill(); err != nil {
		return err
	}
	c.await("its replica to become a master", func() bool {
		now, err := all.Masters(ctx)
		return err == nil && len(now) == len(masters)
	})
	if err := lost.Start(ctx); err != nil {
		return err
	}
	c.await("the cluster to be whole again", func() bool { return all.Whole(ctx) == nil })
	return nil
}
