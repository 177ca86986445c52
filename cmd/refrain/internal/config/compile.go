package config

import (
	"strings"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// Middleware returns the configuration of the middleware, but for its logger and observer.
func (c *Config) Middleware() refrainhttp.Config {
	var m refrainhttp.Config
	for i := range c.Routes {
		r := &c.Routes[i]
		route := refrainhttp.Route{Policy: r.Policy.compile()}
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

// LongestTimeout returns how long an execution may last at most, on any route.
func (c *Config) LongestTimeout() (longest time.Duration) {
	for i := range c.Routes {
		longest = max(longest, c.Routes[i].Policy.Timeout)
	}
	return longest
}

// LongestKeep returns how long an outcome and its tombstone are kept at most, on any route.
func (c *Config) LongestKeep() (k refrain.Keep) {
	for i := range c.Routes {
		p := &c.Routes[i].Policy
		k.Retention, k.Tombstone = max(k.Retention, p.Retention), max(k.Tombstone, p.Tombstone)
	}
	k.Tombstone = orNone(k.Tombstone)
	return k
}

// compile translates the policy. The file's words are the middleware's, but for zeros, which there mean the default.
func (p *Policy) compile() refrainhttp.Policy {
	return refrainhttp.Policy{
		Operation: p.operation(),
		Mode:      refrainhttp.Mode(p.Mode),
		Key: refrainhttp.Key{
			Required: p.Key.Required, Headers: headers(p.Key.From), Format: refrainhttp.Format(p.Key.Format),
			MaxLength: p.Key.MaxLength,
		},
		Principal:  principals(p.Scope.Principal),
		RouteScope: refrainhttp.RouteScope(p.Scope.Route),
		Fingerprint: refrainhttp.Fingerprint{
			Body: refrainhttp.BodyMode(p.Fingerprint.Body), Include: p.Fingerprint.Include,
			Exclude: p.Fingerprint.Exclude, Headers: p.Fingerprint.Headers,
		},
		Outcomes: p.outcomes(),
		Limits:   refrainhttp.Limits{RequestBody: p.Limits.RequestBody, ResponseBody: p.Limits.ResponseBody},
	}
}

func (p *Policy) operation() refrain.Policy {
	op := refrain.Policy{
		Wait: orNone(p.Wait), Lease: p.Lease, Timeout: p.Timeout, Retention: p.Retention, Tombstone: orNone(p.Tombstone),
	}
	if p.Unknown == "rerun" {
		op.Unknown = refrain.Rerun
	}
	if p.StoreDown == "open" {
		op.StoreDown = refrain.FailOpen
	}
	return op
}

// orNone returns the duration, or for zero the negative one that means none at all.
func orNone(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// outcomes leaves default lists to the middleware, whose defaults know one case more: 503 with Retry-After.
func (p *Policy) outcomes() refrainhttp.Outcomes {
	given := func(field string, statuses []string) []string {
		if _, ok := p.origins[field]; !ok {
			return nil
		}
		return append([]string{}, statuses...) // empty, not nil, where the file empties the list
	}
	return refrainhttp.Outcomes{
		Final:   given("outcome.final", p.Outcome.Final),
		Release: given("outcome.release", p.Outcome.Release),
		Unknown: given("outcome.unknown", p.Outcome.Unknown),
	}
}

// headers returns the names in sources such as header:NAME.
func headers(sources []string) []string {
	names := make([]string, len(sources))
	for i, s := range sources {
		names[i] = strings.TrimPrefix(s, "header:")
	}
	return names
}

func principals(sources []string) []refrainhttp.Source {
	all := make([]refrainhttp.Source, len(sources))
	for i, s := range sources {
		all[i] = refrainhttp.Source(s)
	}
	return all
}
