// Package gateway runs `refrain proxy`: it opens what the configuration names, serves, reloads, drains and closes.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/admin"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/proxy"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/storage"
)

// Options are what a Gateway needs besides its configuration.
type Options struct {
	// Load reads the configuration, at the start and for each reload.
	Load    func() (*config.Config, error)
	Logger  *slog.Logger
	Version string
}

// A Gateway is a running proxy.
type Gateway struct {
	opts    Options
	log     *slog.Logger
	cfg     *config.Config // in force; the goroutine that runs the gateway owns it
	longest time.Duration  // how long an execution may last, under any configuration that was in force
	metrics *admin.Metrics

	site     atomic.Pointer[site]
	server   *http.Server
	admin    *admin.Server
	served   chan error // the end of the server
	draining atomic.Bool
}

// Start opens the store, listens and serves. The error says what could not be had; nothing is left open then.
func Start(opts Options) (g *Gateway, err error) {
	cfg, err := opts.Load()
	if err != nil {
		return nil, err
	}
	g = &Gateway{opts: opts, log: opts.Logger, cfg: cfg, metrics: admin.NewMetrics(opts.Version)}
	g.served = make(chan error, 1)
	clientsAt, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for clients: %w", err)
	}
	adminAt, err := net.Listen("tcp", cfg.Admin)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening for operators: %w", err), clientsAt.Close())
	}
	if err := g.open(); err != nil {
		return nil, errors.Join(err, clientsAt.Close(), adminAt.Close())
	}
	g.serve(clientsAt, adminAt)
	return g, nil
}

// storeTimeout bounds how long the store may take to open before it is away.
const storeTimeout = 10 * time.Second

// open opens everything between the listeners and the upstream.
func (g *Gateway) open() error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	s, err := storage.Open(ctx, g.cfg, g.log)
	if err != nil {
		return err
	}
	first := &site{}
	if err = g.use(s, first); err == nil {
		g.site.Store(first)
		err = g.install(g.cfg)
	}
	if err != nil {
		return errors.Join(err, s.Close())
	}
	g.metrics.Watch(g)
	g.metrics.SetTier(s.Tier())
	g.metrics.Reloaded(true)
	return nil
}

func (g *Gateway) serve(clientsAt, adminAt net.Listener) {
	g.admin = admin.Serve(adminAt, admin.Config{
		Metrics: g.metrics, API: http.HandlerFunc(g.operate), Ready: g.checks(), Logger: g.log,
	})
	g.server = newServer(http.HandlerFunc(g.handle), g.log)
	conns := bounded(clientsAt, maxConnections)
	if g.encryption() != nil {
		conns = encrypted(conns, g.encryption)
		g.server.ConnContext, g.server.Handler = withConn, identified(g.server.Handler, g.encryption)
	}
	go func() { g.served <- g.server.Serve(clients(conns, g.memory)) }()
	g.log.Info("refrain is serving", "listen", clientsAt.Addr().String(), "admin", adminAt.Addr().String(),
		"upstream", g.cfg.Upstream.String(), "store", g.cfg.Store.String(), "tier", string(g.site.Load().storage.Tier()),
		"routes", len(g.cfg.Patterns()), "version", g.opts.Version)
}

// handle serves a request with the configuration in force.
func (g *Gateway) handle(w http.ResponseWriter, r *http.Request) {
	g.site.Load().handler.ServeHTTP(w, r)
}

// operate serves the API about single operations.
func (g *Gateway) operate(w http.ResponseWriter, r *http.Request) {
	g.site.Load().operations.ServeHTTP(w, r)
}

// memory returns what answers from memory under the configuration in force.
func (g *Gateway) memory() *proxy.Memory { return g.site.Load().memory }

// encryption is that of new connections under the configuration in force.
func (g *Gateway) encryption() *tls.Config { return g.site.Load().tls }

var errDraining = errors.New("draining")

// checks returns what has to be good for the gateway to get traffic.
func (g *Gateway) checks() []admin.Check {
	return []admin.Check{
		{Name: "process", Of: func(context.Context) error {
			if g.draining.Load() {
				return errDraining
			}
			return nil
		}},
		{Name: "store", Of: func(ctx context.Context) error { return g.site.Load().storage.Ready(ctx) }},
	}
}

// Run serves until a signal comes on stop, reloading whenever reload is, and then drains. A second readable of stop ends the
// draining at once. The error says what was left undone.
func (g *Gateway) Run(reload, stop <-chan os.Signal) error {
	for {
		select {
		case <-reload:
			g.reload()
		case opened := <-g.site.Load().storage.Away():
			if err := g.adopt(opened); err != nil {
				return errors.Join(err, opened.Close(), g.close(context.Background()))
			}
		case <-stop:
			return g.drain(stop)
		case err := <-g.served:
			return errors.Join(fmt.Errorf("serving clients: %w", err), g.close(context.Background()))
		}
	}
}

// drainGrace is what draining may take beyond the longest execution.
const drainGrace = 15 * time.Second
