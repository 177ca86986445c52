package main

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// sentinels, cluster and pooled are stores on more than one server. What is in front of a pooled one does not go away with it.
func sentinels(t *testing.T) engine {
	s := servertest.Start(t, func(ctx context.Context, dir string) (*servers.RedisSentinel, error) {
		return servers.StartRedisSentinel(ctx, dir)
	})
	return engine{Process: s.Servers[0].Process, more: processes(s.Servers[1:], s.Sentinels), url: s.URL()}
}

func cluster(t *testing.T) engine {
	s := servertest.Start(t, func(ctx context.Context, dir string) (*servers.RedisCluster, error) {
		return servers.StartRedisCluster(ctx, dir)
	})
	return engine{Process: s.Servers[0].Process, more: processes(s.Servers[1:]), url: s.URL()}
}

func processes(all ...[]*servers.Redis) (processes []*servers.Process) {
	for _, s := range slices.Concat(all...) {
		processes = append(processes, s.Process)
	}
	return processes
}

func pooled(t *testing.T) engine {
	e := prepared(t, "postgres")
	u, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	pooler := servertest.Start(t, func(ctx context.Context, dir string) (*servers.PgBouncer, error) {
		return servers.StartPgBouncer(ctx, dir, &servers.Postgres{Port: port}, 4)
	})
	e.url = pooler.URL("postgres")
	return e
}

// A store on several servers is awaited like one on a single server, and is the one that it was.
func TestProxyStartsWithoutItsServers(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*testing.T) engine{"sentinel": sentinels, "cluster": cluster, "pgbouncer": pooled} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, up := begin(t), newLedger(t)
			file := fileFor(t, up, e, "closed")
			old := start(t, "--config", file)
			old.mustPost("/charges", "before")
			old.signal(syscall.SIGTERM)
			old.wait()
			e.stop(t)
			p := start(t, "--config", file)
			p.await(awayLine)
			if status, body := p.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "not open yet") {
				t.Errorf("readiness: got %d %q, want 503, and why", status, body)
			}
			traffic := newTraffic(p)
			traffic.await(t, 100)
			e.start(t)
			p.await(openLine)
			isReady(t, p)
			traffic.await(t, 200)
			traffic.stop()
			traffic.judge(t, p, up, "closed")
			if resp, _ := p.mustPost("/charges", "before"); resp.Header.Get("Idempotency-Status") != "replayed" {
				t.Errorf("got status %q of what an earlier process did, want replayed", resp.Header.Get("Idempotency-Status"))
			}
		})
	}
}
