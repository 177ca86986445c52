package config

import (
	"slices"
	"strings"
)

// checkSequence sees to it that a number is a whole key.
func (p *Policy) checkSequence() []contradiction {
	k := &p.Key
	isSequence := func(from string) bool { return strings.HasPrefix(from, "sequence:") }
	if !slices.ContainsFunc(k.From, isSequence) {
		if p.given("key.sequence_window") {
			return contradict("key.sequence_window", "has no effect: key.from is [%s] (%s); it needs sequence:NAME",
				strings.Join(k.From, ", "), p.origins["key.from"])
		}
		return nil
	}
	if len(k.From) > 1 {
		return contradict("key.from", "a sequence stands alone; remove the others")
	}
	if slices.Contains(p.Principal, "none") {
		return contradict("key.from", "scope.principal is none (%s), and two callers may have the same number; name a principal",
			p.origins["scope.principal"])
	}
	for _, other := range []struct{ field, why string }{
		{"key.format", "numbers have one form"}, {"key.min_length", "numbers have one form"}, {"key.max_length", "numbers have one form"},
		{"key.derive.window", "a derived key is no number"},
		{"tombstone", "a number is known as used while it is in the window"},
	} {
		if p.given(other.field) {
			return contradict(other.field, "has no place beside a sequence (%s): %s; remove it", p.origins["key.from"], other.why)
		}
	}
	return nil
}

// checkDerive sees to it that a derived key tells requests apart.
func (p *Policy) checkDerive() []contradiction {
	if p.Key.DeriveWindow == 0 {
		return nil
	}
	const field = "key.derive.window"
	switch f := &p.Fingerprint; {
	case p.Key.Required:
		return contradict(field, "key.required is true (%s), so there is nothing to derive; remove one of them", p.origins["key.required"])
	case p.Mode == "refuse":
		return contradict(field, "mode is refuse (%s), which takes no keys; remove one of them", p.origins["mode"])
	case f.Body == "none":
		return contradict(field, "fingerprint.body is none (%s): requests with different bodies would be one operation; "+
			"compare the bodies", p.origins["fingerprint.body"])
	case !slices.Contains(f.Of, "method") || !slices.Contains(f.Of, "path") || !slices.Contains(f.Of, "query"):
		return contradict(field, "fingerprint.of is [%s] (%s): requests that differ in the rest would be one operation; "+
			"it needs method, path and query", strings.Join(f.Of, ", "), p.origins["fingerprint.of"])
	}
	return nil
}
