package refrainhttp

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/refrain-dev/refrain"
)

// A Middleware protects handlers. It may be used concurrently, for any number of handlers.
type Middleware struct {
	guard    *refrain.Guard
	routes   *routes
	log      *slog.Logger
	observer Observer
	buffers  buffers
	bodies   budget
	dates    dates
	lifetime Lifetime
	prober   prober
}

// New returns a Middleware on the guard. The error names what is wrong with the Config.
func New(guard *refrain.Guard, cfg Config) (*Middleware, error) {
	if guard == nil {
		return nil, errors.New("refrainhttp: the guard is nil; make one with refrain.New")
	}
	routes, err := newRoutes(&cfg)
	if err != nil {
		return nil, fmt.Errorf("refrainhttp: %w", err)
	}
	for _, p := range routes.plans {
		p.gateway = cfg.Gateway
	}
	m := &Middleware{guard: guard, routes: routes, log: cfg.Logger, observer: cfg.Observer, lifetime: cfg.Lifetime}
	m.prober = newProber(guard)
	if m.bodies.limit = cfg.BodyMemory; m.bodies.limit == 0 {
		m.bodies.limit = defaultBodyMemory
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	return m, nil
}

// Wrap returns a handler that protects next. What next panics with passes through, after the operation was marked
// unknown.
//
// Authorization belongs in front of it, since a replay does not reach next.
func (m *Middleware) Wrap(next http.Handler) http.Handler {
	return &protected{m: m, next: next}
}

// A protected is a handler behind a Middleware.
type protected struct {
	m    *Middleware
	next http.Handler
}

// ServeHTTP implements http.Handler.
func (p *protected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var found *plan
	if safe(r.Method) {
		found = p.m.routes.mustSign(r)
	} else {
		found = p.m.routes.find(r)
	}
	if found == nil || found.policy.Mode == Off {
		p.m.passOn(p.next, w, r, nil)
		return
	}
	x := newExchange(p, found, w, r)
	defer x.release()
	if found.policy.Mode == Observe {
		x.watch()
	} else {
		x.serve()
	}
}
