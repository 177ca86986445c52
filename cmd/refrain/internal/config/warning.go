package config

import "slices"

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
	p := &r.Policy
	if slices.Contains(p.Principal, "client-ip") {
		all = append(all, Problem{Origin: p.origins["scope.principal"], Path: "scope.principal", Text: address})
	}
	if p.verifier == nil && isSender(p.Dialect) && p.Dialect != "cloudevents" {
		for _, m := range r.Match {
			all = append(all, Problem{Origin: m.Origin, Path: m.Text, Text: unsigned})
		}
	}
	return all
}
