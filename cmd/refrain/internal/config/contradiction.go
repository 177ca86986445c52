package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/refrain-dev/refrain/refrainhttp"
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
		p.checkBatch(), p.checkScope(), p.checkFingerprint(), p.checkEcho(), p.checkOutcome(), p.checkVerify(), p.checkProbe(),
		p.checkAnswers())
	for _, c := range all {
		if !slices.Contains(known, c) {
			p.report(at, c)
		}
	}
	return all
}

// report tells of a contradiction in what is at a place.
func (p *Policy) report(at value, c contradiction) {
	v := value{d: at.d, path: join(at.path, c.field), origin: at.origin}
	if o := p.origins[c.field]; o.Line > 0 {
		v.origin = o
	}
	v.fault("%s", c.text)
}

// checkOff sees to it that a route does not set what has no effect on it. In the defaults, mode: off switches everything off
// for a while.
func (p *Policy) checkOff(route value) {
	if _, own := route.member("mode"); !own || p.Mode != refrainhttp.Off {
		return
	}
	for _, m := range route.ordered() {
		if name := m.name(); name != "mode" && name != "match" {
			m.fault("has no effect while mode is off (%s); remove one of them", p.origins["mode"])
		}
	}
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

func (p *Policy) checkFingerprint() []contradiction {
	f := &p.Fingerprint
	const text = "applies to JSON bodies, but fingerprint.body is %s (%s); remove one of them"
	for _, pointers := range []struct {
		field string
		all   []string
	}{{"fingerprint.include", f.Include}, {"fingerprint.exclude", f.Exclude}} {
		if len(pointers.all) > 0 && f.Body != "auto" && f.Body != "json" {
			return contradict(pointers.field, text, f.Body, p.origins["fingerprint.body"])
		}
	}
	for _, in := range f.Include {
		for _, out := range f.Exclude {
			if in == out || strings.HasPrefix(in, out+"/") {
				return contradict("fingerprint.exclude", "%s takes away all of %s, which is in fingerprint.include (%s); remove one of them",
					out, in, p.origins["fingerprint.include"])
			}
		}
	}
	return nil
}

// checkEcho sees to it that requests may differ in what an answer repeats of them.
func (p *Policy) checkEcho() []contradiction {
	f := &p.Fingerprint
	for _, echo := range p.Echo {
		within := func(pointer string) bool { return echo == pointer || strings.HasPrefix(echo, pointer+"/") }
		counts := f.Body == "raw" || f.Body != "none" && !slices.ContainsFunc(f.Exclude, within) &&
			(len(f.Include) == 0 || slices.ContainsFunc(f.Include, within))
		if counts {
			return contradict("replay.echo", "%s is compared, so that a retry with another one is a mismatch and is given no answer; "+
				"list it in fingerprint.exclude (%s)", echo, p.origins["fingerprint.exclude"])
		}
	}
	return nil
}

// checkOutcome sees to it that every status is in exactly one class, and that a success ends an operation.
func (p *Policy) checkOutcome() (all []contradiction) {
	in := map[string]string{}
	for _, class := range classesOf(&p.Outcomes) {
		for _, s := range *class.statuses {
			if in[s] != "" && in[s] != class.field { // within one list, it is listed twice
				all = append(all, contradict(class.field, "%s is also in %s (%s); remove it from one",
					s, in[s], p.origins[in[s]])...)
			}
			in[s] = class.field
		}
	}
	if in["2xx"] == "outcome.release" {
		all = append(all, contradict("outcome.release",
			"has 2xx: the retry of a success would run again; put 2xx into outcome.final, and single statuses here")...)
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
