//go:build unix

package servers_test

import (
	"context"
	"testing"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

func TestRedisKeepsItsDataAcrossAKill(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Redis, error) {
		return servers.StartRedis(ctx, dir, "appendfsync", "always")
	})
	ctx := t.Context()
	if _, err := r.Call(ctx, "SET", "a", "1"); err != nil {
		t.Fatal(err)
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Call(ctx, "GET", "a"); err == nil {
		t.Error("got an answer of a server that is dead")
	}
	if err := r.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Call(ctx, "GET", "a"); got != "1" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRedisSentinelFailsOver(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(ctx context.Context, dir string) (*servers.RedisSentinel, error) {
		return servers.StartRedisSentinel(ctx, dir)
	})
	ctx := t.Context()
	before, err := s.Master(ctx)
	if err != nil || before != s.Servers[0] {
		t.Fatalf("got %v, %v, want the first server", before, err)
	}
	if err := before.Kill(); err != nil {
		t.Fatal(err)
	}
	for after := before; after == before; {
		if after, err = s.Master(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRedisClusterMovesSlots(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, func(ctx context.Context, dir string) (*servers.RedisCluster, error) {
		return servers.StartRedisCluster(ctx, dir)
	})
	ctx := t.Context()
	masters, err := c.Masters(ctx)
	if err != nil || len(masters) != 3 {
		t.Fatalf("got %d masters, %v, want 3", len(masters), err)
	}
	if err := c.Move(ctx, masters[0], masters[1], 10); err != nil {
		t.Fatal(err)
	}
	for c.Whole(ctx) != nil {
		if ctx.Err() != nil {
			t.Fatal("the cluster does not come together again")
		}
	}
}
