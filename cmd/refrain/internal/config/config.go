// Package config reads Refrain's YAML file, lays flags and environment variables over it, and compiles it for the
// middleware. It knows where every setting came from, and reports everything that is wrong at once.
package config

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/jwt"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/peer"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A Config is everything that `refrain proxy` can be told.
type Config struct {
	Upstream *url.URL // nil if nothing names one
	Listen   string
	Admin    string
	Store    Store
	Journal  string // the folder for what a networked store cannot take
	Secret   string // the reference to what keys the hashes in a networked store; empty if that is the store's own
	TLS      TLS
	Proxies  peer.Trusted // whose word about clients is taken
	JWT      jwt.Config   // without issuers if there are none
	Lifetime refrainhttp.Lifetime
	Defaults Policy
	Routes   []Route

	origins map[string]Origin
}

// A Route is some requests and what holds for them.
type Route struct {
	Match  []Pattern
	Policy Policy
}

// A Pattern is one of net/http, such as "POST /charges/{id}", and its place in the file.
type Pattern struct {
	Text   string
	Origin Origin

	path string
}

// A Setting is a value as the file would write it, and where it came from.
type Setting struct {
	Name, Value string
	Origin      Origin
}

// An Override is a setting from outside the file: a flag or an environment variable.
type Override struct {
	Name   string // upstream, listen, admin or store
	Value  string
	Source string // "flag --listen"
}

// maxFile bounds the file: its syntax tree takes many times as much.
const maxFile = 64 << 10

// Load reads the file, unless path is empty, and lays the overrides over it, each over those before it. If what is
// wrong is in there, the error is Problems.
func Load(path string, over ...Override) (*Config, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text, over...)
}

// Describe is Load for who only tells what the file says: the secrets that it refers to may be elsewhere. Nothing that is
// signed with them is accepted under it then.
func Describe(path string, over ...Override) (*Config, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	return parse(&decoder{source: path, describes: true}, text, over)
}

// read returns the text of a file, none of one without a name.
func read(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return text, nil
}

// Parse does what Load does with the text of a file of that name.
func Parse(name string, text []byte, over ...Override) (*Config, error) {
	return parse(&decoder{source: name}, text, over)
}

func parse(d *decoder, text []byte, over []Override) (*Config, error) {
	c := &Config{
		Listen: "127.0.0.1:8080", Admin: "127.0.0.1:8081",
		Store:    Store{Scheme: "pebble", Dir: "./refrain-data"},
		Journal:  "./refrain-data",
		JWT:      jwt.Config{Header: "Authorization", Leeway: 30 * time.Second},
		Defaults: builtin(newDialects()),
		origins:  map[string]Origin{},
	}
	c.Defaults.described = d.describes
	if len(text) > maxFile {
		return nil, Problems{{Origin: Origin{Source: d.source}, Text: "longer than " + showSize(maxFile)}}
	}
	root := d.parseTree(bytes.TrimPrefix(text, []byte("\ufeff")))
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	if root == nil {
		root = ast.Null(token.New("", "", &token.Position{}))
	}
	c.read(d.at(root, ""))
	for _, o := range over {
		c.override(d, o)
	}
	c.check(d)
	if len(d.problems) > 0 {
		return nil, d.problems.sorted()
	}
	return c, nil
}

// read reads the file: its routes after everything else, since they inherit the defaults.
func (c *Config) read(root value) {
	var routes value
	if own, ok := root.member("dialects"); ok {
		c.Defaults.known.read(own)
	}
	if defaults, ok := root.member("defaults"); ok {
		c.Defaults.speak(defaults)
	}
	fields := append(c.fields(), prefixed("defaults.", c.Defaults.fields())...)
	fields = append(fields, field{name: "routes", read: func(v value) { routes = v }}, field{name: "dialects", read: func(value) {}})
	root.fields(fields, "")
	inherited := c.Defaults.clone()
	if routes.d == nil {
		c.Defaults.patterns = c.everything()
	}
	known := c.Defaults.check(value{d: root.d, path: "defaults", origin: root.origin}, nil)
	if routes.d == nil {
		c.Routes = []Route{{Match: c.Defaults.patterns, Policy: c.Defaults.clone()}}
		return
	}
	seq, ok := routes.node.(*ast.SequenceNode)
	if !ok || len(seq.Values) == 0 {
		routes.fault("expected a list of routes; without this field, POST / and PATCH / are the routes")
		return
	}
	items, _ := routes.items()
	for _, item := range items {
		c.Routes = append(c.Routes, readRoute(item, inherited.clone(), known))
	}
	checkPatterns(root.d, c.Routes)
}

// everything returns the patterns of a file without routes: all paths, with the methods of the dialect.
func (c *Config) everything() (all []Pattern) {
	d, _ := c.Defaults.known.lookup(c.Defaults.Dialect)
	for _, method := range d.Methods {
		all = append(all, Pattern{Text: method + " /"})
	}
	return all
}

// readRoute reads a route over the policy that it inherits, whose contradictions are known.
func readRoute(v value, inherited Policy, known []contradiction) Route {
	r := Route{Policy: inherited}
	r.Policy.speak(v)
	match := field{name: "match", read: func(v value) { r.Match = readPatterns(v) }}
	v.fields(append([]field{match}, r.Policy.fields()...), "")
	if _, ok := v.pairs(); ok && r.Match == nil {
		v.fault(`needs match: the requests that it is about, such as "POST /charges"`)
	}
	r.Policy.patterns = r.Match
	r.Policy.check(v, known)
	r.Policy.checkOff(v)
	return r
}

// fields returns the settings beside the policies.
func (c *Config) fields() []field {
	fields := []field{
		bind(c.origins, "upstream", &c.Upstream, upstream()),
		bind(c.origins, "listen", &c.Listen, address()),
		bind(c.origins, "admin", &c.Admin, address()),
		bind(c.origins, "store", &c.Store, store()),
		bind(c.origins, "journal", &c.Journal, folder()),
		bind(c.origins, "secret", &c.Secret, secret()),
		bind(c.origins, "lifetime.match", &c.Lifetime.Match, getPattern()),
		bind(c.origins, "lifetime.member", &c.Lifetime.Member, text()),
	}
	return append(fields, c.callerFields()...)
}

// Settings returns every setting beside the policies.
func (c *Config) Settings() []Setting { return settings(c.fields(), c.origins) }

func (c *Config) override(d *decoder, o Override) {
	fields := c.fields()
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == o.Name })
	text := ast.String(token.New(o.Value, o.Value, &token.Position{}))
	fields[i].read(value{d: d, node: text, origin: Origin{Source: o.Source, outside: true}})
}

// check reports settings that contradict each other.
func (c *Config) check(d *decoder) {
	c.checkCallers(d)
	c.checkStore(d)
	if (c.Lifetime.Match == "") != (c.Lifetime.Member == "") {
		at := value{d: d, path: "lifetime", origin: c.origins["lifetime.match"]}
		if c.Lifetime.Match == "" {
			at.origin = c.origins["lifetime.member"]
		}
		at.fault("needs both match, such as GET /v1/config, and member, such as idempotency-key-lifetime")
	}
	if collide(c.Admin, c.Listen) {
		at := value{d: d, path: "admin", origin: c.origins["admin"]}
		if at.origin == (Origin{}) {
			at.path, at.origin = "listen", c.origins["listen"]
		}
		at.fault("admin is %s and listen is %s; they need a port each", c.Admin, c.Listen)
	}
	if c.Upstream == nil {
		return
	}
	at := value{d: d, path: "upstream", origin: c.origins["upstream"]}
	switch own := authority(c.Upstream); {
	case leads(own, c.Listen):
		at.fault("is %s, where the proxy itself listens; name the API's own address", c.Upstream)
	case leads(own, c.Admin):
		at.fault("is %s, where the proxy tells operators about itself; name the API's own address", c.Upstream)
	}
}

func prefixed(prefix string, fields []field) []field {
	for i := range fields {
		fields[i].name = prefix + fields[i].name
	}
	return fields
}

func settings(fields []field, origins map[string]Origin) []Setting {
	all := make([]Setting, len(fields))
	for i, f := range fields {
		all[i] = Setting{Name: f.name, Value: f.show(), Origin: origins[f.name]}
	}
	return all
}
