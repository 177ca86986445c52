// Package demo shows what Refrain is for: the same retry storm twice against a sample payments API, once bare and once
// through Refrain, and what the ledger says afterwards.
package demo

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"
)

// Config says how to run the demo. Out and Err are required.
type Config struct {
	// Executable is the refrain binary that runs as the proxy. If empty, the running one.
	Executable string
	// Store is where the proxy remembers operations: a store's URL, or redis:, postgres: or mysql: alone to have a server
	// started for the demo. If empty, the embedded store.
	Store string
	// Operations is how many operations each storm has. If zero, 400.
	Operations int
	// Seed draws the storm. If zero, a random one.
	Seed uint64
	// JSON writes the report as JSON instead of a table.
	JSON bool
	// Keep leaves everything running after the report, until ctx ends.
	Keep bool
	// Out gets the report, Err the progress.
	Out, Err io.Writer
}

// bareOutage is how long no connection to the bare API can be made after all were cut: about what a restart takes.
const bareOutage = 300 * time.Millisecond

// Run runs the demo and writes its report. The error is an ErrBroken when a promise was broken or the storm was none,
// and that of ctx when it ended. No process and no file is left behind.
func Run(ctx context.Context, cfg Config) error {
	dir, err := os.MkdirTemp("", "refrain-demo-")
	if err != nil {
		return fmt.Errorf("making a directory for the demo: %w", err)
	}
	defer os.RemoveAll(dir)
	if cfg.Executable == "" {
		if cfg.Executable, err = os.Executable(); err != nil {
			return fmt.Errorf("finding the refrain binary: %w", err)
		}
	}
	cfg.Seed = cmp.Or(cfg.Seed, 1+rand.Uint64N(1_000_000))
	d := &demo{cfg: cfg, dir: dir, progress: newProgress(cfg.Err)}
	d.operations = plan(cmp.Or(cfg.Operations, 400), cfg.Seed)
	return d.run(ctx)
}

// A demo is one run of it.
type demo struct {
	cfg        Config
	dir        string
	progress   *progress
	operations []operation
}

func (d *demo) run(ctx context.Context) error {
	d.progress.say("The same storm of %d payments, bare and through Refrain (seed %d).", len(d.operations), d.cfg.Seed)
	report := &Report{Seed: d.cfg.Seed}
	var err error
	if report.Bare, err = d.bare(ctx); err != nil {
		return fmt.Errorf("storming the bare API: %w", err)
	}
	behind, err := d.raise(ctx)
	if err != nil {
		return fmt.Errorf("storming through Refrain: %w", err)
	}
	defer behind.close()
	if report.Refrain, err = d.protected(ctx, behind); err != nil {
		return fmt.Errorf("storming through Refrain: %w", err)
	}
	if err := d.write(report); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if d.cfg.Keep {
		behind.invite(d.cfg.Err)
		behind.stay(ctx)
	}
	return report.Err()
}

func (d *demo) write(r *Report) error {
	if d.cfg.JSON {
		return r.WriteJSON(d.cfg.Out)
	}
	return r.WriteTable(d.cfg.Out)
}

// bare storms the API itself. Its outage is a cut of every connection.
func (d *demo) bare(ctx context.Context) (Tally, error) {
	st, err := newStage(d.dir, "bare")
	if err != nil {
		return Tally{}, err
	}
	defer st.close()
	line := &line{}
	outage := func(ctx context.Context) error {
		d.progress.say("  bare: cutting every connection, with %d orders in flight", st.api.InFlight())
		line.cut(ctx, bareOutage)
		return nil
	}
	return d.storm(ctx, &scene{name: "bare", stage: st, url: st.url, line: line, outage: outage})
}

// protected storms the API behind Refrain. Its outage is a kill -9 of the proxy and a restart on the same store.
func (d *demo) protected(ctx context.Context, b *behind) (Tally, error) {
	outage := func(ctx context.Context) error {
		begin := time.Now()
		d.progress.say("  refrain: kill -9 %d, the proxy, with %d orders in flight", b.proxy.PID(), b.stage.api.InFlight())
		if err := b.proxy.Kill(); err != nil {
			return fmt.Errorf("killing the proxy: %w", err)
		}
		if err := b.proxy.Restart(ctx); err != nil {
			return err
		}
		d.progress.say("  refrain: the proxy is back on the same store after %d ms", time.Since(begin).Milliseconds())
		return nil
	}
	return d.storm(ctx, &scene{name: "refrain", stage: b.stage, url: b.proxy.URL(), line: &line{}, outage: outage})
}
