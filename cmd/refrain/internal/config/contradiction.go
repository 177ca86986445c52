package config

import (
	"fmt"
	"slices"
	"strings"
)

// A contradiction is a setting that does not go together with others.
type contradiction struct {
	field, text string
}

// check settles the policy and reports its contradictions but those that its defaults have too, and returns all. Each is
// reported where the file gave the field, and for a default at the policy's own place.
func (p *Policy) check(at value, known []contradiction) []contradiction {
	p.settle()
	all := slices.Concat(p.checkWait(), p.checkKey(), p.checkSequence(), p.checkDerive(),
		p.checkBatch(), p.checkScope(), p.checkFingerprint(), p.checkOutcome(), p.checkVerify(), p.checkProbe())
	for _, c := range all {
		if slices.Contains(known, c) {
			continue
		}
		v := value{d: at.d, path: join(at.path, c.field), origin: at.origin}
		if o := p.origins[c.field]; o.Line > 0 {
			v.origin = o
		}
		v.fault("%s", c.text)
	}
	return all
}

func contradict(field, format string, args ...any) []contradiction {
	return []contradiction{{field, fmt.Sprintf(format, args...)}}
}

func (p *Policy) checkWait() []contradiction {
	if !p.given("in_flight.wait") || p.Operation.Wait <= p.Operation.Timeout {
		return nil
	}
	return contradict("in_flight.wait", "%s is longer than an execution may last; timeout is %s (%s)",
		showDuration(p.Operation.Wait), showDuration(p.Operation.Timeout), p.origins["timeout"])
}

func (p *Policy) checkKey() []contradiction {
	if len(p.Key.From) == 0 {
		return contradict("key.from", "is empty; write header:Idempotency-Key")
	}
	return nil
}

func (p *Policy) checkFingerprint() []contradiction {
	f := &p.Fingerprint
	const text = "applies to JSON bodies, but fingerprint.body is %s (%s)"
	switch {
	case f.Body == "auto" || f.Body == "json":
	case len(f.Include) > 0:
		return contradict("fingerprint.include", text, f.Body, p.origins["fingerprint.body"])
	case len(f.Exclude) > 0:
		return contradict("fingerprint.exclude", text, f.Body, p.origins["fingerprint.body"])
	}
	return nil
}

// checkOutcome sees to it that every status is in exactly one class.
func (p *Policy) checkOutcome() (all []contradiction) {
	in := map[string]string{}
	for _, class := range classesOf(&p.Outcomes) {
		for _, s := range *class.statuses {
			if in[s] != "" {
				all = append(all, contradict(class.field, "%s is also in %s (%s); remove it from one",
					s, in[s], p.origins[in[s]])...)
			}
			in[s] = class.field
		}
	}
	for _, s := range []string{"2xx", "3xx", "4xx", "5xx"} {
		if in[s] == "" {
			all = append(all, contradict(p.firstGiven("outcome."), "%s is in no class; add it to final, release or unknown", s)...)
		}
	}
	return all
}

// givenBelow reports whether the file gives a field with the prefix.
func (p *Policy) givenBelow(prefix string) bool { return p.firstGiven(prefix) != "" }

// firstGiven returns the first field with the prefix that the file gives, "" if there is none.
func (p *Policy) firstGiven(prefix string) (field string) {
	for name := range p.origins {
		if strings.HasPrefix(name, prefix) && (field == "" || name < field) {
			field = name
		}
	}
	return field
}
