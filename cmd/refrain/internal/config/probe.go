package config

import (
	"errors"
	"strings"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// probeFields are the settings about asking the API what became of an operation.
func (p *Policy) probeFields() []field {
	o, q, op := p.origins, &p.Probe, &p.Operation
	return []field{
		bind(o, "probe.method", &q.Method, word([]string{"GET", "HEAD"})),
		bind(o, "probe.url", &q.URL, text()),
		bind(o, "probe.headers", &q.Header, namesOnly(list(private(line())))),
		bind(o, "probe.happened.status", &q.Happened.Status, quiet(list(status()))),
		bind(o, "probe.happened.pointer", &q.Happened.Pointer, pointer()),
		bind(o, "probe.happened.equals", &q.Happened.Equals, quiet(list(text()))),
		bind(o, "probe.did_not_happen.status", &q.DidNotHappen.Status, quiet(list(status()))),
		bind(o, "probe.did_not_happen.pointer", &q.DidNotHappen.Pointer, pointer()),
		bind(o, "probe.did_not_happen.equals", &q.DidNotHappen.Equals, quiet(list(text()))),
		bind(o, "probe.answer", &q.Answer, word([]refrainhttp.ProbeAnswer{refrainhttp.Tombstone, refrainhttp.ReplayProbe})),
		bind(o, "probe.quiet", &op.Quiet, unlessZero(orNone(duration(0, 7*day)))),
		bind(o, "probe.timeout", &op.ProbeTimeout, duration(10*time.Millisecond, time.Minute)),
	}
}

// namesOnly is a kind of header lines of which only the names are shown: the rest may be a credential.
func namesOnly(k kind[[]string]) kind[[]string] {
	k.show = func(lines []string) string {
		var names []string
		for _, l := range lines {
			name, _, _ := strings.Cut(l, ":")
			names = append(names, name)
		}
		return strings.Join(names, ", ")
	}
	return k
}

// private is a kind of texts that its errors do not repeat: they may be credentials.
func private(k kind[string]) kind[string] {
	read := k.read
	k.read = func(v value) (string, bool) {
		before := len(v.d.problems)
		text, ok := read(v)
		for i := before; i < len(v.d.problems); i++ {
			v.d.problems[i].Text = "is not a header line; write one such as \"Authorization: Bearer x\""
		}
		return text, ok
	}
	return k
}

// unlessZero is a kind of durations that shows nothing for one that is left to another field.
func unlessZero(k kind[time.Duration]) kind[time.Duration] {
	show := k.show
	k.show = func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return show(d)
	}
	return k
}

// needless reports whether a setting of that name has no effect, because nobody is asked.
func (p *Policy) needless(name string) bool {
	return strings.HasPrefix(name, "probe.") && p.Operation.Unknown != refrain.Probe
}

// checkProbe sees to it that there is a probe where there must be one, and that it makes sense.
func (p *Policy) checkProbe() []contradiction {
	probes := p.Operation.Unknown == refrain.Probe
	first := p.firstGiven("probe.")
	switch {
	case probes && p.Probe.URL == "":
		return contradict("unknown", "needs probe.url: the request that asks the API whether an operation happened")
	case !probes && first != "" && !p.given("unknown"):
		return contradict(first, "has no effect while unknown is hold (default); write unknown: probe beside probe")
	case p.Probe.URL == "":
		return nil
	}
	asked := p.Policy
	asked.Probe.Base = somewhere
	if len(p.patterns) == 0 {
		return wrongProbe(asked.ValidateProbe(""))
	}
	for _, pattern := range p.patterns {
		if all := wrongProbe(asked.ValidateProbe(pattern.Text)); all != nil {
			return all
		}
	}
	return nil
}

// wrongProbe returns the contradiction that an error is about a field of a probe. Other errors are reported elsewhere.
func wrongProbe(err error) []contradiction {
	if wrong, ok := errors.AsType[*refrainhttp.ProbeError](err); ok {
		return contradict("probe."+wrong.Field, "%s", wrong.Err)
	}
	return nil
}

// somewhere stands for an upstream that is not known yet.
const somewhere = "http://upstream"

// probeBase returns what goes before the URLs of probes that are paths.
func (c *Config) probeBase() string {
	if c.Upstream == nil {
		return somewhere
	}
	return c.Upstream.String()
}
