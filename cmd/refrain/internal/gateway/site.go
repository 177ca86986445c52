package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/callers"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/operations"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/proxy"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/storage"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A site is a configuration in force, on a store: requests that came while it was keep it to their end.
type site struct {
	storage *storage.Storage
	guard   *refrain.Guard

	handler http.Handler
	memory  *proxy.Memory // of the same handler
	proxy   *proxy.Proxy
	callers *callers.Callers
	tls     *tls.Config // nil if connections are not encrypted

	operations http.Handler // the API about single ones
}

// install puts a configuration in force for the requests to come.
func (g *Gateway) install(cfg *config.Config) (err error) {
	old := g.site.Load()
	next := &site{storage: old.storage, guard: old.guard}
	if next.tls, err = g.encrypt(cfg.TLS, old.tls); err != nil {
		return err
	}
	if next.callers, err = callers.Open(context.Background(), cfg, old.callers, g.log); err != nil {
		return err
	}
	if next.proxy = old.proxy; old.proxy == nil || g.cfg.Upstream.String() != cfg.Upstream.String() {
		next.proxy = proxy.New(proxy.Config{Upstream: cfg.Upstream, Logger: g.log})
	}
	if err := g.compile(cfg, next); err != nil {
		next.callers.Retire(old.callers)
		return err
	}
	g.metrics.SetRoutes(cfg.Patterns())
	g.site.Store(next)
	old.callers.Retire(next.callers)
	if old.proxy != nil && old.proxy != next.proxy {
		old.proxy.Close()
	}
	for _, w := range cfg.Warnings() {
		g.log.Warn("configuration: "+w.Text, "at", w.Origin.String(), "field", w.Path)
	}
	g.cfg, g.longest = cfg, max(g.longest, cfg.LongestTimeout())
	return nil
}

// compile makes the site's handler.
func (g *Gateway) compile(cfg *config.Config, s *site) error {
	mc := cfg.Middleware()
	mc.Logger, mc.Observer, mc.Sources = g.log, observer{g.metrics, g.log}, s.callers.Sources()
	middleware, err := refrainhttp.New(s.guard, mc)
	if err != nil {
		return fmt.Errorf("compiling the routes: %w", err)
	}
	protected := middleware.Wrap(s.proxy)
	s.handler = middleware.Publish(protected)
	s.memory = proxy.NewMemory(protected.(refrainhttp.Recaller))
	s.operations = operations.Handler(operations.Config{
		Guard: s.guard, Store: s.storage.Store, Identify: middleware.Identify, Keep: cfg.LongestKeep(), Logger: g.log,
	})
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
		{"journal", g.cfg.Journal, cfg.Journal},
		{"secret", g.cfg.Secret, cfg.Secret},
		{"tls", g.cfg.TLS.State(), cfg.TLS.State()},
	} {
		if fixed.was != fixed.is {
			g.log.Warn("this change takes a restart", "setting", fixed.name, "in_force", fixed.was, "file", fixed.is)
		}
	}
	if cfg.TLS.State() != g.cfg.TLS.State() {
		cfg.TLS = g.cfg.TLS
	}
	cfg.Listen, cfg.Admin, cfg.Store = g.cfg.Listen, g.cfg.Admin, g.cfg.Store
	cfg.Journal, cfg.Secret = g.cfg.Journal, g.cfg.Secret
	was, is := g.cfg.Scopes(), cfg.Scopes()
	if err := g.install(cfg); err != nil {
		return err
	}
	for _, pattern := range slices.Sorted(maps.Keys(is)) {
		if was[pattern] != "" && was[pattern] != is[pattern] {
			g.log.Warn("every key of this route is new: a retry of what ran before runs again", "route", pattern,
				"was_unique_within", was[pattern], "is_unique_within", is[pattern])
		}
	}
	return nil
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
