//go:build unix

package crashtest

import (
	"context"
	"fmt"
	"testing"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// A pair is a PostgreSQL server and its streaming standby, behind one address.
type pair struct {
	t                *testing.T
	on               [2]*servers.Host
	board            *switchboard
	settings         []string
	primary, standby *servers.Postgres
	standbys         int // that there have been
}

// startPair starts the two; the settings come after the schema is made, for some let nothing be written without a standby.
func startPair(t *testing.T, on [2]*servers.Host, settings ...string) *pair {
	t.Helper()
	p := &pair{t: t, on: on, settings: settings}
	p.primary = servertest.Start(t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
		return on[0].StartPostgres(ctx, dir)
	})
	migrate(t, p.primary.URL("postgres"))
	for _, s := range settings {
		p.primary.Args = append(p.primary.Args, "-c", s)
	}
	if err := p.primary.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := p.primary.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.follow()
	p.board = newSwitchboard(t, on[0].At(p.primary.Port))
	return p
}

// follow starts a standby of the primary.
func (p *pair) follow() {
	p.t.Helper()
	p.standbys++
	p.standby = servertest.Start(p.t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
		return p.on[1].StartStandby(ctx, dir, fmt.Sprint("standby", p.standbys), p.primary, p.settings...)
	})
}

// failOver kills the primary and makes the standby the primary, which gets a standby of its own.
func (p *pair) failOver(ctx context.Context) error {
	if err := p.primary.Kill(); err != nil {
		return err
	}
	if err := p.standby.Promote(ctx); err != nil {
		return err
	}
	p.board.connect(p.standby.On.At(p.standby.Port))
	p.primary = p.standby
	p.follow()
	return nil
}

// postgresPair is a server whose standby has every transition before anyone is told of it, or, if it is not in step, soon after.
func postgresPair(inStep bool) *engine {
	var p *pair
	e := &engine{name: "postgres, asynchronous standby", tier: "best-effort", lossy: !inStep, variant: true}
	var settings []string
	if inStep {
		e.name, e.tier, settings = "postgres, synchronous standby", "strict", []string{"synchronous_standby_names=*"}
	}
	e.start = func(t *testing.T) string {
		p = startPair(t, [2]*servers.Host{servers.Here(), servers.Here()}, settings...)
		return fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable", p.board.address())
	}
	promote := func(c *campaign) error { return p.failOver(c.t.Context()) }
	e.faults = []fault{{name: "promotion of the standby", strike: promote, landed: refused}}
	return e
}
