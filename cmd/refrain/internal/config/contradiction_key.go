package config

import (
	"slices"
	"strings"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// checkKey sees to it that a key can be, and that it names an operation and not its sender.
func (p *Policy) checkKey() []contradiction {
	k := &p.Key
	if len(k.From) == 0 {
		return contradict("key.from", "is empty; write header:Idempotency-Key")
	}
	for _, from := range k.From {
		if slices.Contains(p.Principal, refrainhttp.Source(from)) {
			return contradict("key.from", "%s also says who a request comes from (%s): whoever sends the key would be the caller; "+
				"remove it here or there", from, p.origins["scope.principal"])
		}
	}
	return slices.Concat(p.checkLength(), p.checkFirstSent())
}

// checkLength sees to it that there are keys of a length that is allowed.
func (p *Policy) checkLength() []contradiction {
	const uuid = 36 // characters
	k, field := &p.Key, "key.max_length"
	if !p.given(field) {
		field = "key.min_length"
	}
	switch {
	case k.MinLength > k.MaxLength:
		return contradict(field, "no key is long enough and short enough: key.min_length is %d (%s), key.max_length %d (%s)",
			k.MinLength, p.origins["key.min_length"], k.MaxLength, p.origins["key.max_length"])
	case (k.Format == refrainhttp.UUID || k.Format == refrainhttp.UUID7) && (k.MinLength > uuid || k.MaxLength < uuid):
		return contradict(field, "a %s (%s) has %d characters; remove the length", k.Format, p.origins["key.format"], uuid)
	}
	return nil
}

// checkFirstSent sees to it that no request is run whose key may be forgotten.
func (p *Policy) checkFirstSent() []contradiction {
	k, op := &p.Key, p.Operation.WithDefaults()
	remembered := op.Retention + max(0, op.Tombstone)
	switch {
	case k.FirstSent == "" && p.given("key.first_sent_within"):
		return contradict("key.first_sent_within", "has no effect without key.first_sent, the header field with the time")
	case k.FirstSent != "" && k.FirstSentWithin > remembered:
		field := "key.first_sent_within"
		if !p.given(field) {
			field = "retention"
		}
		return contradict(field, "requests of %s ago may run, but keys are remembered for %s only (retention %s, tombstone %s): "+
			"a late retry would run again; let key.first_sent_within be the shorter", showDuration(k.FirstSentWithin),
			showDuration(remembered), p.origins["retention"], p.origins["tombstone"])
	}
	return nil
}

// onlyAddresses reports whether nothing but an address says who a request comes from.
func (p *Policy) onlyAddresses() bool { return len(p.Principal) == 1 && p.Principal[0] == "client-ip" }

func (p *Policy) isSequence() bool {
	return slices.ContainsFunc(p.Key.From, func(from string) bool { return strings.HasPrefix(from, "sequence:") })
}

// checkSequence sees to it that a number is a whole key.
func (p *Policy) checkSequence() []contradiction {
	k := &p.Key
	if !p.isSequence() {
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
	if p.onlyAddresses() {
		return contradict("key.from", "scope.principal is client-ip (%s), and behind one address many may count; name a principal "+
			"that callers prove", p.origins["scope.principal"])
	}
	field := strings.TrimPrefix(k.From[0], "sequence:")
	for _, scope := range []struct {
		field string
		names bool
	}{
		{"scope.principal", slices.Contains(p.Principal, refrainhttp.Source("header:"+field))},
		{"scope.headers", slices.Contains(p.ScopeHeaders, field)},
	} {
		if scope.names {
			return contradict("key.from", "%s is also in %s (%s): each number would be in a scope of its own; remove it here or there",
				field, scope.field, p.origins[scope.field])
		}
	}
	for _, other := range []struct{ field, why string }{
		{"key.format", "numbers have one form"},
		{"key.min_length", "numbers have one form"},
		{"key.max_length", "numbers have one form"},
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
		return contradict(field, "key.required is true (%s), so there is nothing to derive; remove one of them",
			p.origins["key.required"])
	case p.onlyAddresses():
		return contradict(field, "has no effect: scope.principal is client-ip (%s), and equal requests from one address may be those "+
			"of two; name a principal that callers prove", p.origins["scope.principal"])
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

// asking returns the first body of an answer that has something of the request, "" if there is none.
func (p *Policy) asking() string {
	for _, w := range answersOf(&p.Answers) {
		if strings.Contains(w.answer.Body, "${request:") {
			return "answers." + w.name + ".body"
		}
	}
	return ""
}

// checkBatch sees to it that a batch has the keys of its items and no other.
func (p *Policy) checkBatch() []contradiction {
	k, b := &p.Key, &p.Batch
	inBody := slices.ContainsFunc(k.From, func(from string) bool {
		scheme, arg, _ := strings.Cut(from, ":")
		return scheme == "body" || scheme == "form" || scheme == "tuple" && strings.Contains(arg, "/")
	})
	const needs = "has no place beside batch (%s), whose items have keys of their own; remove one of them"
	switch {
	case b.Key == "" && *b == refrainhttp.Batch{}:
		return nil
	case b.Key == "":
		return contradict(p.firstGiven("batch."), "needs batch.key: where in an item its key is, such as /id")
	case inBody, p.isSequence():
		return contradict("key.from", needs, p.origins["batch.key"])
	case k.DeriveWindow != 0:
		return contradict("key.derive.window", needs, p.origins["batch.key"])
	case k.FirstSent != "":
		return contradict("key.first_sent", needs, p.origins["batch.key"])
	case len(p.ScopeBody) > 0:
		return contradict("scope.body", needs, p.origins["batch.key"])
	case len(p.Echo) > 0:
		return contradict("replay.echo", needs, p.origins["batch.key"])
	case p.asking() != "":
		return contradict(p.asking(), "has ${request:/…}, which a batch (%s) has no one of; remove one of them", p.origins["batch.key"])
	case p.Mode == "observe":
		return contradict("batch.key", "mode is observe (%s), and a batch cannot be observed; use enforce or off here",
			p.origins["mode"])
	}
	return nil
}
