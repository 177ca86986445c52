package config

import (
	"fmt"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// Middleware returns the configuration of the middleware, but for its logger and observer.
func (c *Config) Middleware() refrainhttp.Config {
	m := refrainhttp.Config{Lifetime: c.Lifetime, Gateway: true}
	for i := range c.Routes {
		r := &c.Routes[i]
		route := refrainhttp.Route{Policy: r.Policy.Policy}
		if v := r.Policy.verifier; v != nil {
			route.Policy.Verify = v.Verify
		}
		route.Policy.Probe.Base = c.probeBase()
		for _, p := range r.Match {
			route.Match = append(route.Match, p.Text)
		}
		m.Routes = append(m.Routes, route)
	}
	return m
}

// Patterns returns the patterns of all routes.
func (c *Config) Patterns() (all []string) {
	for _, r := range c.Routes {
		for _, p := range r.Match {
			all = append(all, p.Text)
		}
	}
	return all
}

// Scopes returns what the keys of each pattern are unique within, in words that can be compared.
func (c *Config) Scopes() map[string]string {
	all := map[string]string{}
	for i := range c.Routes {
		p := &c.Routes[i].Policy
		for _, m := range c.Routes[i].Match {
			all[m.Text] = fmt.Sprintf("principal %s, route %s, headers %s, body %s",
				p.Principal, p.RouteScope, p.ScopeHeaders, p.ScopeBody)
		}
	}
	return all
}

// LongestTimeout returns how long an execution may last at most, on any route.
func (c *Config) LongestTimeout() (longest time.Duration) {
	for i := range c.Routes {
		longest = max(longest, c.Routes[i].Policy.Operation.Timeout)
	}
	return longest
}

// LongestKeep returns how long an outcome is kept at most, on any route.
func (c *Config) LongestKeep() (longest refrain.Keep) {
	longest.Tombstone = -1
	for i := range c.Routes {
		op := &c.Routes[i].Policy.Operation
		longest.Retention, longest.Tombstone = max(longest.Retention, op.Retention), max(longest.Tombstone, op.Tombstone)
	}
	return longest
}
