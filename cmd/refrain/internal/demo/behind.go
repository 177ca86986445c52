package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/sidecar"
)

// The proxy's part of the demo: a short lease, so that what a kill -9 left behind is soon known as unknown, and
// patience for longer than that.
const proxyFile = `defaults:
  lease: 1500ms
  in_flight: { wait: 3s }
  timeout: 10s
routes:
  - match: [POST /charges]
    key: { required: true }
`

// A behind is the API behind Refrain.
type behind struct {
	stage *stage
	proxy *sidecar.Proxy
	store string       // the URL of the store's server, if the demo started one
	stop  func() error // ends it
}

// raise starts the API and the proxy in front of it.
func (d *demo) raise(ctx context.Context) (*behind, error) {
	st, err := newStage(d.dir, "refrain")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(d.dir, "proxy")
	if err := os.Mkdir(dir, 0o700); err != nil {
		st.close()
		return nil, fmt.Errorf("making a directory for the proxy: %w", err)
	}
	store, stop, err := d.store(ctx)
	if err != nil {
		st.close()
		return nil, err
	}
	proxy, err := sidecar.Start(ctx, sidecar.Config{
		Executable: d.cfg.Executable, Upstream: st.url, Dir: dir, Store: store, File: proxyFile,
	})
	if err != nil {
		st.close()
		return nil, errors.Join(err, stop())
	}
	if store == d.cfg.Store {
		store = "" // the reader knows where it is, and it may hold a password
	}
	return &behind{stage: st, proxy: proxy, store: store, stop: stop}, nil
}

func (b *behind) close() {
	_ = b.proxy.Kill()
	_ = b.stop() // what it kept goes with it
	b.stage.close()
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
	if b.store != "" {
		fmt.Fprintf(w, "  Look at the store:             refrain check --store '%s'\n", b.store)
	}
	fmt.Fprintln(w)
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
