//go:build unix

package crashtest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// TestPartitions drops packets between hosts of a network: three with a proxy each, the others with the store's servers. Clients
// and the API are reached by all of them all the time. What counts is what counts in TestChaos.
func TestPartitions(t *testing.T) {
	t.Parallel()
	engines := []*engine{
		redisApart(), sentinelApart(""), sentinelApart("?wait=2&wait_timeout=500ms"),
		postgresApart(), postgresPairApart(), mariadbApart(), mariadbPairApart(),
	}
	for _, e := range engines {
		t.Run(e.name, e.run)
	}
}

// A lan is a network of hosts for proxies and for servers.
type lan struct {
	*servers.LAN

	proxies, machines []*servers.Host
}

// startLAN starts a network for three proxies and n servers.
func startLAN(t *testing.T, e *engine, n int) *lan {
	t.Helper()
	all := servertest.Start(t, func(ctx context.Context, dir string) (*servers.LAN, error) { return servers.StartLAN(ctx, dir, 3+n) })
	l := &lan{LAN: all, proxies: all.Hosts[:3], machines: all.Hosts[3:]}
	e.site = site{api: all.Gateway, proxies: l.proxies}
	return l
}

// during cuts a host off from others until something has happened, and counts what was dropped.
func (l *lan) during(c *campaign, h *servers.Host, others []*servers.Host, happens func() error) error {
	ctx := c.t.Context()
	if err := l.Cut(ctx, h, others...); err != nil {
		return err
	}
	if err := happens(); err != nil {
		return err
	}
	dropped, err := l.Dropped(ctx)
	if err != nil {
		return err
	}
	c.seen += dropped
	return l.Heal(ctx)
}

// cutProxy cuts one proxy off from all of the store, for longer than its leases last.
func (l *lan) cutProxy(c *campaign) error {
	i := c.random.IntN(len(l.proxies))
	err := l.during(c, l.proxies[i], l.machines, func() error {
		before := c.closed.Load()
		c.await("the store's silence to be felt", func() bool { return c.closed.Load() > before })
		<-time.After(time.Second + time.Duration(c.random.Int64N(int64(time.Second))))
		return nil
	})
	c.await("the proxy to work again", func() bool { return c.fleet[i].Ready(c.t.Context()) })
	return err
}

// cutStandby cuts the server that has to confirm every write off from the one that takes them: nothing may run meanwhile.
func (l *lan) cutStandby(c *campaign) error {
	return l.during(c, l.machines[0], l.machines[1:], c.failsClosed)
}

// splitBrain cuts the master off from the other servers and their sentinels, not from the proxies, until there is another.
func (l *lan) splitBrain(c *campaign, all *servers.RedisSentinel, meanwhile func() error) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	master, err := all.Master(ctx)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(slices.Clone(l.machines), func(h *servers.Host) bool { return h == master.On })
	err = l.during(c, master.On, others, func() error {
		c.await("another master", func() bool {
			next, err := all.Master(ctx)
			return err == nil && next != master
		})
		return meanwhile()
	})
	c.await("the servers to be in step again", func() bool { return all.Ready(ctx) == nil })
	return err
}
