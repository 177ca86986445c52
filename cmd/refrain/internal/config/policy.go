package config

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/refrain-dev/refrain/refrainhttp"
	"github.com/refrain-dev/refrain/webhook"
)

// A Policy is what the file says about requests: its defaults section, or a route, which begins as a copy of it. Nothing in
// it is left to a default.
type Policy struct {
	refrainhttp.Policy
	Verify Verify

	verifier  *webhook.Verifier // nil if nothing is to be verified
	origins   map[string]Origin // of what is not a built-in default, by field
	known     *dialects
	patterns  []Pattern // of the requests that it is about
	described bool      // nothing is to be verified with it: secrets may be away
	unset     []string  // the references to those that are
}

// builtin returns the policy of a file that says nothing.
func builtin(known *dialects) Policy {
	return Policy{Policy: explicit(refrainhttp.Policy{}), origins: map[string]Origin{}, known: known}
}

// explicit returns the policy with its defaults, also those of the core. The file's zeros, which mean none at all, are
// negative in it.
func explicit(p refrainhttp.Policy) refrainhttp.Policy {
	p = p.WithDefaults()
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&p.Operation.Lease, 30 * time.Second},
		{&p.Operation.Timeout, time.Minute},
		{&p.Operation.Retention, day},
		{&p.Operation.Tombstone, 7 * day},
		{&p.Operation.ProbeTimeout, 5 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	return p
}

// given reports whether the file itself gives the field, and not only its dialect.
func (p *Policy) given(field string) bool {
	o, ok := p.origins[field]
	return ok && !o.dialect
}

// OriginOf returns where the field was given.
func (p *Policy) OriginOf(field string) Origin { return p.origins[field] }

// settle completes a policy that was read whole: a default list of statuses gives up those that the file lists elsewhere.
func (p *Policy) settle() {
	p.Policy = p.WithDefaults() // those that depend on what was read
	classes := classesOf(&p.Outcomes)
	for _, class := range classes {
		if p.given(class.field) {
			continue
		}
		*class.statuses = slices.DeleteFunc(slices.Clone(*class.statuses), func(s string) bool {
			return slices.ContainsFunc(classes, func(other outcomeClass) bool {
				return other.field != class.field && slices.Contains(*other.statuses, s)
			})
		})
	}
}

// An outcomeClass is one of the lists of the outcomes.
type outcomeClass struct {
	field    string
	statuses *[]string
}

func classesOf(o *refrainhttp.Outcomes) []outcomeClass {
	return []outcomeClass{
		{"outcome.final", &o.Final}, {"outcome.release", &o.Release}, {"outcome.unknown", &o.Unknown},
	}
}

// clone returns a copy that shares nothing that reading changes.
func (p *Policy) clone() Policy {
	c := *p
	c.origins = maps.Clone(p.origins)
	return c
}

// Settings returns the settings of the policy, in the order of the file's reference. Words of answers are left out where they
// are the default ones, and probes where there are none.
func (p *Policy) Settings() []Setting {
	all := settings(p.fields(), p.origins)
	if i := slices.IndexFunc(all, func(s Setting) bool { return s.Name == "verify.secrets" }); i >= 0 && len(p.unset) > 0 {
		all[i].Value += ", of which not set here: " + strings.Join(p.unset, ", ")
	}
	return slices.DeleteFunc(all, func(s Setting) bool { return s.Value == "" || p.needless(s.Name) })
}
