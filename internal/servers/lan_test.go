package servers_test

import (
	"context"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// What is cut off gets nothing and is counted; others are reached meanwhile, and all are again when it is healed.
func TestLANCutsOff(t *testing.T) {
	t.Parallel()
	l := servertest.Start(t, func(ctx context.Context, dir string) (*servers.LAN, error) { return servers.StartLAN(ctx, dir, 3) })
	one := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Redis, error) {
		return l.Hosts[0].StartRedis(ctx, dir)
	})
	ctx := t.Context()
	if err := l.Cut(ctx, l.Hosts[0], l.Hosts[1]); err != nil {
		t.Fatal(err)
	}
	if out, err := one.Call(ctx, "PING"); err != nil || out != "PONG" {
		t.Errorf("from here: got %q, %v", out, err)
	}
	if err := pingFrom(ctx, l.Hosts[2], one); err != nil {
		t.Errorf("from a host that is not cut off: got %v", err)
	}
	if err := pingFrom(ctx, l.Hosts[1], one); err == nil {
		t.Error("got an answer from what is cut off")
	}
	if n, err := l.Dropped(ctx); n == 0 || err != nil {
		t.Errorf("got %d packets dropped, %v", n, err)
	}
	if err := l.Heal(ctx); err != nil {
		t.Fatal(err)
	}
	if err := pingFrom(ctx, l.Hosts[1], one); err != nil {
		t.Errorf("after it is healed: got %v", err)
	}
}

// pingFrom asks a server from a host, for a second.
func pingFrom(ctx context.Context, h *servers.Host, r *servers.Redis) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	program, args := h.Command("redis-cli", "-h", r.On.Address, "-p", strconv.Itoa(r.Port), "-e", "PING")
	return exec.CommandContext(ctx, program, args...).Run()
}
