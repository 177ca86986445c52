package gateway

import (
	"net/http"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/operations"
)

// operations returns the API about single operations.
func (g *Gateway) operations() http.Handler {
	return operations.Handler(operations.Config{
		Guard: g.guard, Store: g.storage.Store, Logger: g.log,
		Identify: func(r *http.Request) (refrain.ID, string, error) { return g.site.Load().middleware.Identify(r) },
		Keep:     func() refrain.Keep { return g.site.Load().keep },
	})
}
