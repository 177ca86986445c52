package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// Warnings returns what is not wrong with the configuration, but weaker than it may look.
func (c *Config) Warnings() (all Problems) {
	for i := range c.Routes {
		all = append(all, c.Routes[i].warnings()...)
	}
	return all.sorted()
}

func (r *Route) warnings() (all Problems) {
	const address = "client-ip is an address, not a caller: everyone behind one proxy is the same, and a client whose address " +
		"changes between two attempts is another, whose retry runs again; prefer what a caller proves"
	const unsigned = "takes webhooks from anyone; name what the sender signs with in verify.secrets"
	const watched = "does not keep out what nobody signed: mode is %s (%s); use enforce"
	const hosted = "must be signed, but only with that host: who sends another one reaches the API without; leave the host out, " +
		"unless the API knows requests by it"
	const invented = "keeps a mark for good of every caller, also of those whom the API refuses, and anyone can invent a %s; " +
		"prefer what is proven: jwt:CLAIM, mtls or trusted:NAME"
	p := &r.Policy
	for _, s := range p.Principal {
		if scheme, _, _ := strings.Cut(string(s), ":"); p.isSequence() && (scheme == "header" || scheme == "cookie") {
			all = append(all, Problem{p.origins["key.from"], "key.from", fmt.Sprintf(invented, s)})
			break
		}
	}
	if slices.Contains(p.Principal, "client-ip") {
		all = append(all, Problem{Origin: p.origins["scope.principal"], Path: "scope.principal", Text: address})
	}
	if p.verifier != nil && (p.Mode == refrainhttp.Off || p.Mode == refrainhttp.Observe) {
		all = append(all, Problem{p.origins["verify.secrets"], "verify.secrets", fmt.Sprintf(watched, p.Mode, p.origins["mode"])})
	}
	for _, m := range r.Match {
		_, at, _ := strings.Cut(m.Text, " ")
		switch sender := p.known.sender(p.Dialect); {
		case p.verifier == nil && sender != "" && sender != "cloudevents":
			all = append(all, Problem{m.Origin, m.Text, unsigned})
		case p.verifier != nil && !strings.HasPrefix(at, "/"):
			all = append(all, Problem{m.Origin, m.Text, hosted})
		}
	}
	return all
}
