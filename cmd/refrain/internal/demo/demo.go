// Package demo shows what Refrain is for: the same retry storm twice against a sample payments API, once bare and once
// through Refrain, and what the ledger says afterwards.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/sidecar"
)

// Config says how to run the demo. Out and Err are required.
type Config struct {
	// Executable is the refrain binary that runs as the proxy. If empty, the running one.
	Executable string
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

// The proxy's part of the demo: a short lease, so that what a kill -9 left behind is soon known as unknown, and patience
// for longer than that.
const proxyFile = `defaults:
  lease: 1500ms
  in_flight: { wait: 3s }
  timeout: 10s
routes:
  - match: [POST /charges]
    key: { required: true }
`

// bareOutage is how long no connection to the bare API can be made after all were cut: about what a restart takes.
const bareOutage = 300 * time.Millisecond

// Run runs the demo and writes its report. The error is an ErrBroken when a promise was broken or the storm was none, and
// that of ctx when it ended. No process and no file is left behind.
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
	return d.storm(ctx, &scene{name: "bare", stage: st, url: st.url, line: line, outage: func(ctx context.Context) error {
		d.progress.say("  bare: cutting every connection, with %d orders in flight", st.api.InFlight())
		line.cut(ctx, bareOutage)
		return nil
	}})
}

// protected storms the API behind Refrain. Its outage is a kill -9 of the proxy and a restart on the same store.
func (d *demo) protected(ctx context.Context, b *behind) (Tally, error) {
	return d.storm(ctx, &scene{name: "refrain", stage: b.stage, url: b.proxy.URL(), line: &line{}, outage: func(ctx context.Context) error {
		pid, begin := b.proxy.PID(), time.Now()
		d.progress.say("  refrain: kill -9 %d, the proxy, with %d orders in flight", pid, b.stage.api.InFlight())
		if err := b.proxy.Kill(); err != nil {
			return fmt.Errorf("killing the proxy: %w", err)
		}
		if err := b.proxy.Restart(ctx); err != nil {
			return err
		}
		d.progress.say("  refrain: the proxy is back on the same store after %d ms", time.Since(begin).Milliseconds())
		return nil
	}})
}

// A behind is the API behind Refrain.
type behind struct {
	stage *stage
	proxy *sidecar.Proxy
}

// raise starts the API and the proxy in front of it.
func (d *demo) raise(ctx context.Context) (*behind, error) {
	st, err := newStage(d.dir, "refrain")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(d.dir, "proxy")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, errors.Join(err, st.close())
	}
	proxy, err := sidecar.Start(ctx, sidecar.Config{
		Executable: d.cfg.Executable, Upstream: st.url, Dir: dir, File: proxyFile,
	})
	if err != nil {
		return nil, errors.Join(err, st.close())
	}
	return &behind{stage: st, proxy: proxy}, nil
}

func (b *behind) close() {
	_ = b.proxy.Kill()
	_ = b.stage.close()
}

// stay waits until ctx ends. A proxy that dies meanwhile, perhaps by the reader's own kill -9, is started again.
func (b *behind) stay(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-b.proxy.Exited():
			if b.proxy.Restart(ctx) != nil {
				return
			}
		}
	}
}

// invite writes where everything is and what to try.
func (b *behind) invite(w io.Writer) {
	fmt.Fprintf(w, invitation, b.stage.url, b.proxy.URL(), b.proxy.AdminURL(), b.proxy.PID())
}

const invitation = `
  Everything stays up until Ctrl-C. The bare API is %[1]s, behind Refrain it is %[2]s.

  Pay, and pay again: the same answer, "Idempotent-Replayed: true", one charge. Change the amount: 422.

    curl -i %[2]s/charges -H 'Idempotency-Key: mine-1' -H 'Content-Type: application/json' \
      -d '{"amount":1999,"currency":"EUR","reference":"mine-1"}'

  What was charged:              curl '%[1]s/charges?reference=mine-1'
  What Refrain saw:              curl %[3]s/metrics
  Kill the proxy, pay again:     kill -9 %[4]d    (the demo starts it anew on the same store)

`
