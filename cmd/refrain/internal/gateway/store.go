package gateway

import (
	"fmt"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/storage"
)

// use puts a store under a site, with a guard of its own: operations are named by the store's secret, so that none that was named
// by another ever reaches it.
func (g *Gateway) use(s *storage.Storage, under *site) (err error) {
	under.storage = s
	under.guard, err = refrain.New(s.Guarded(), refrain.Config{
		Secret: s.Secret, Journal: s.Journal, Observer: g.metrics, Logger: g.log,
	})
	return err
}

// adopt goes over to the store that was away. Requests under way end without it, as they began; the guard that they have owns
// nothing, so that there is nothing of it to close.
func (g *Gateway) adopt(s *storage.Storage) error {
	next := *g.site.Load()
	err := g.use(s, &next)
	if err == nil {
		err = g.compile(g.cfg, &next)
	}
	if err != nil {
		return fmt.Errorf("going over to the store: %w", err)
	}
	g.site.Store(&next)
	g.metrics.SetTier(s.Tier())
	g.log.Info("the store is open: requests with a key are protected from now on",
		"store", g.cfg.Store.String(), "tier", string(s.Tier()))
	return nil
}

// Running implements admin.Source.
func (g *Gateway) Running() int { return g.site.Load().guard.Running() }

// Unrecorded implements admin.Source.
func (g *Gateway) Unrecorded() int {
	s := g.site.Load()
	return s.guard.Unrecorded() + s.storage.Unrecorded
}
