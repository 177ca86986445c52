package config

import (
	"slices"
	"strings"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// dialects are those that a file may name: the built-in ones and its own.
type dialects struct {
	all     []refrainhttp.Dialect
	extends map[string]string // what the file's own are made from
}

func newDialects() *dialects { return &dialects{refrainhttp.Dialects(), map[string]string{}} }

// sender returns the sender of webhooks that a dialect is about, "" if it is about none.
func (ds *dialects) sender(dialect string) string {
	for ds.extends[dialect] != "" {
		dialect = ds.extends[dialect]
	}
	switch dialect {
	case "standard-webhooks", "github", "shopify", "slack", "twilio", "cloudevents", "stripe-events":
		return dialect
	}
	return ""
}

func (ds *dialects) names() (all []string) {
	for _, d := range ds.all {
		all = append(all, d.Name)
	}
	return all
}

func (ds *dialects) lookup(name string) (refrainhttp.Dialect, bool) {
	i := slices.IndexFunc(ds.all, func(d refrainhttp.Dialect) bool { return d.Name == name })
	if i < 0 {
		return refrainhttp.Dialect{}, false
	}
	return ds.all[i], true
}

// read adds the file's own dialects, each another one with some fields set.
func (ds *dialects) read(v value) {
	members := v.ordered()
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.name()
	}
	for _, m := range members {
		name := m.name()
		if _, taken := ds.lookup(name); taken {
			m.fault("there is a dialect of that name already; give yours another one")
			continue
		}
		base := "default"
		p := builtin(ds)
		fields := slices.DeleteFunc(p.fields(), func(f field) bool {
			return f.name == "dialect" || strings.HasPrefix(f.name, "verify.") // secrets are a route's
		})
		extends := field{name: "extends", read: func(v value) { base = ds.base(v, names) }}
		if e, ok := m.member("extends"); ok {
			extends.read(e)
		}
		d, _ := ds.lookup(base)
		p.Policy = explicit(d.Policy)
		m.fields(append(fields, field{name: "extends", read: func(value) {}}), "")
		for _, c := range p.checkAnswers() {
			p.report(m, c)
		}
		d.Name, d.Contract, d.Policy = name, "this file", p.Policy
		d.Policy.Dialect = name
		ds.extends[name] = base
		ds.all = append(ds.all, d)
	}
}

// base reads the name of the dialect that another one begins as. Those of the file stand in order.
func (ds *dialects) base(v value, names []string) string {
	text, _ := v.scalar()
	if _, known := ds.lookup(text); !known && slices.Contains(names, text) {
		v.fault("%q is this dialect or stands below it; a dialect extends one that stands above", text)
		return "default"
	}
	name, _ := word(ds.names()).read(v)
	return name
}

// speak takes on the dialect that the mapping names, if it names one: whatever the dialect says goes before what was
// inherited, and goes behind what stands beside its name.
func (p *Policy) speak(v value) {
	m, ok := v.member("dialect")
	if !ok {
		return
	}
	name, ok := word(p.known.names()).read(m)
	if !ok {
		return
	}
	d, _ := p.known.lookup(name)
	spoken, plain := builtin(p.known), builtin(p.known)
	spoken.Policy = explicit(d.Policy)
	own, base := spoken.fields(), plain.fields()
	for i, f := range p.fields() {
		switch {
		case f.name == "dialect":
		case own[i].show() != base[i].show():
			f.set(own[i].to)
			p.origins[f.name] = Origin{Source: "dialect " + name, dialect: true}
		case p.origins[f.name].dialect: // of the dialect that this one takes the place of
			f.set(base[i].to)
			delete(p.origins, f.name)
		}
	}
}
