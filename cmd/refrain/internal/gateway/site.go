package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/proxy"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A site is a configuration in force: requests that came while it was keep it to their end.
type site struct {
	handler http.Handler
	memory  *proxy.Memory // of the same handler
	proxy   *proxy.Proxy
}

// install puts a configuration in force for the requests to come.
func (g *Gateway) install(cfg *config.Config) error {
	mc := cfg.Middleware()
	mc.Logger, mc.Observer = g.log, observer{g.metrics, g.log}
	middleware, err := refrainhttp.New(g.guard, mc)
	if err != nil {
		return fmt.Errorf("compiling the routes: %w", err)
	}
	old := g.site.Load()
	next := &site{}
	if old != nil && g.cfg.Upstream.String() == cfg.Upstream.String() {
		next.proxy = old.proxy
	} else {
		next.proxy = proxy.New(proxy.Config{Upstream: cfg.Upstream, Logger: g.log})
	}
	protected := middleware.Wrap(next.proxy)
	next.handler = middleware.Publish(protected)
	next.memory = proxy.NewMemory(protected.(refrainhttp.Recaller))
	if open := cfg.Unverified(); len(open) > 0 {
		g.log.Warn("webhooks are taken from anyone: verify.secrets is not set", "routes", open)
	}
	g.metrics.SetRoutes(cfg.Patterns())
	g.site.Store(next)
	if old != nil && old.proxy != next.proxy {
		old.proxy.Close()
	}
	g.cfg, g.longest = cfg, max(g.longest, cfg.LongestTimeout())
	return nil
}

// reload reads the configuration anew. A bad one leaves the old one in force.
func (g *Gateway) reload() {
	err := g.tryReload()
	g.metrics.Reloaded(err == nil)
	if err != nil {
		g.log.Error("configuration not reloaded, the old one stays in force", "err", err)
		return
	}
	g.log.Info("configuration reloaded", "upstream", g.cfg.Upstream.String(), "routes", len(g.cfg.Patterns()))
}

func (g *Gateway) tryReload() error {
	cfg, err := g.opts.Load()
	if err != nil {
		return err
	}
	for _, fixed := range []struct{ name, was, is string }{
		{"listen", g.cfg.Listen, cfg.Listen},
		{"admin", g.cfg.Admin, cfg.Admin},
		{"store", g.cfg.Store.String(), cfg.Store.String()},
	} {
		if fixed.was != fixed.is {
			g.log.Warn("this change takes a restart", "setting", fixed.name, "in_force", fixed.was, "file", fixed.is)
		}
	}
	cfg.Listen, cfg.Admin, cfg.Store = g.cfg.Listen, g.cfg.Admin, g.cfg.Store
	return g.install(cfg)
}

// An observer counts what became of each request, and logs it.
type observer struct {
	metrics refrainhttp.Observer
	log     *slog.Logger
}

// ObserveRequest implements refrainhttp.Observer.
func (o observer) ObserveRequest(e refrainhttp.Event) {
	o.metrics.ObserveRequest(e)
	level := slog.LevelDebug
	if e.Status == refrainhttp.StatusUnknown && e.Mode != refrainhttp.Observe {
		level = slog.LevelWarn
	}
	ctx := context.Background()
	if !o.log.Enabled(ctx, level) {
		return
	}
	o.log.LogAttrs(ctx, level, "request", slog.String("route", e.Route), slog.String("status", string(e.Status)),
		slog.Int("code", e.Code), slog.String("mode", string(e.Mode)), slog.Duration("took", e.Took))
}
