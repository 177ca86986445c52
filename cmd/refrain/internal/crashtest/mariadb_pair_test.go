//go:build unix

package crashtest

import (
	"context"
	"fmt"
	"testing"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// A mariadbs is a MariaDB server and a replica that has every commit before anyone sees it, behind one address.
type mariadbs struct {
	t                *testing.T
	on               [2]*servers.Host
	board            *switchboard
	primary, replica *servers.MariaDB
	started          int // how many servers there have been
}

func startMariadbs(t *testing.T, on [2]*servers.Host) *mariadbs {
	t.Helper()
	p := &mariadbs{t: t, on: on, started: 1}
	p.primary = servertest.Start(t, func(ctx context.Context, dir string) (*servers.MariaDB, error) {
		return on[0].StartMariaDB(ctx, dir, servers.SemiSyncPrimary()...)
	})
	p.follow()
	migrate(t, p.primary.URL()) // not before there is a replica: nobody would confirm it
	p.board = newSwitchboard(t, on[0].At(p.primary.Port))
	return p
}

// follow starts a replica of the primary, with all that it has.
func (p *mariadbs) follow() {
	p.t.Helper()
	p.started++
	p.replica = servertest.Start(p.t, func(ctx context.Context, dir string) (*servers.MariaDB, error) {
		return p.on[1].StartMariaDBReplica(ctx, dir, p.primary, fmt.Sprint("--server-id=", p.started), "--read-only=ON")
	})
}

// failOver kills the primary and makes the replica the primary, which gets a replica of its own.
func (p *mariadbs) failOver(ctx context.Context) error {
	if err := p.primary.Kill(); err != nil {
		return err
	}
	if err := p.replica.Promote(ctx); err != nil {
		return err
	}
	p.board.connect(p.replica.On.At(p.replica.Port))
	p.primary = p.replica
	p.follow()
	return nil
}

func mariadbPair() *engine {
	var p *mariadbs
	promote := func(c *campaign) error { return p.failOver(c.t.Context()) }
	return &engine{
		name: "mariadb, semi-synchronous replica", tier: "strict", variant: true,
		start: func(t *testing.T) string {
			p = startMariadbs(t, [2]*servers.Host{servers.Here(), servers.Here()})
			return fmt.Sprintf("mysql://refrain@%s/refrain", p.board.address())
		},
		faults: []fault{{name: "promotion of the replica", strike: promote, landed: refused}},
	}
}
