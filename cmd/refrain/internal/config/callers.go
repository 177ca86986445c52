package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/jwt"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/peer"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// TLS are the files, in PEM, of connections from clients. Without a Certificate they are not encrypted.
type TLS struct {
	Certificate, Key string
	ClientCA         string // who signs the certificates of clients; empty if they need none
}

// State returns on if connections are encrypted, and off if not.
func (t TLS) State() string {
	if t.Certificate == "" {
		return "off"
	}
	return "on"
}

// callerFields are the settings about whose word is taken for who a request comes from.
func (c *Config) callerFields() []field {
	issuers := field{
		name: "jwt.issuers", read: c.readIssuers,
		show: func() string { return list(text()).show(issuerNames(c.JWT.Issuers)) },
	}
	return []field{
		bind(c.origins, "tls.certificate", &c.TLS.Certificate, text()),
		bind(c.origins, "tls.key", &c.TLS.Key, text()),
		bind(c.origins, "tls.client_ca", &c.TLS.ClientCA, text()),
		bind(c.origins, "trusted_proxies", (*[]netip.Prefix)(&c.Proxies), list(prefix())),
		issuers,
		bind(c.origins, "jwt.header", &c.JWT.Header, header()),
		bind(c.origins, "jwt.leeway", &c.JWT.Leeway, duration(time.Second, 5*time.Minute)),
	}
}

// prefix is a kind of networks.
func prefix() kind[netip.Prefix] { return scalar(peer.ParsePrefix, netip.Prefix.String) }

// readIssuers reads a list of issuers; what they are is checked together with the rest.
func (c *Config) readIssuers(v value) {
	c.origins["jwt.issuers"] = v.origin
	seq, ok := v.node.(*ast.SequenceNode)
	if !ok {
		v.fault("expected a list of issuers, each with name, keys and audiences; got %s", describe(v.node))
		return
	}
	for _, n := range seq.Values {
		var i jwt.Issuer
		at := v.d.at(n, v.path+fmt.Sprintf("[%d]", len(c.JWT.Issuers)))
		c.origins[at.path] = at.origin
		own := map[string]Origin{}
		at.fields([]field{
			bind(own, "name", &i.Name, text()),
			bind(own, "keys", &i.Keys, text()),
			bind(own, "audiences", &i.Audiences, list(text())),
			bind(own, "any_audience", &i.AnyAudience, text()),
			bind(own, "algorithms", &i.Algorithms, list(text())),
		}, "")
		for name, o := range own {
			c.origins[at.path+"."+name] = o
		}
		c.JWT.Issuers = append(c.JWT.Issuers, i)
	}
}

func issuerNames(all []jwt.Issuer) (names []string) {
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names
}

// checkCallers reports principals that nothing in the file vouches for.
func (c *Config) checkCallers(d *decoder) {
	c.checkTLS(d)
	c.checkTokens(d)
	for i := range c.Routes {
		r := &c.Routes[i]
		for n, s := range r.Policy.Principal {
			why := c.unfounded(r.Policy.Principal[:n], s)
			p := Problem{r.Policy.origins["scope.principal"], "scope.principal", string(s) + " " + why}
			if why != "" && !slices.Contains(d.problems, p) { // else the routes have it from the defaults
				d.problems = append(d.problems, p)
			}
		}
		r.checkResources(d)
	}
}

// unfounded says why a source that stands behind others cannot name a principal.
func (c *Config) unfounded(before []refrainhttp.Source, s refrainhttp.Source) string {
	scheme, _, _ := strings.Cut(string(s), ":")
	switch {
	case scheme == "jwt" && len(c.JWT.Issuers) == 0:
		return "believes nobody: an unverified token can say anything; name in jwt.issuers whose tokens are to be verified"
	case scheme == "jwt" && slices.Contains(before, refrainhttp.Source("header:"+c.JWT.Header)):
		return "is never asked: a request with a token has " + c.JWT.Header + ", which stands before it; put it first"
	case scheme == "trusted" && len(c.Proxies) == 0:
		return "believes nobody; name in trusted_proxies the addresses of the proxies that set the header"
	case scheme == "mtls" && c.TLS.ClientCA == "":
		return "needs certificates of clients; name in tls.client_ca who signs them, or use trusted:NAME if a proxy verifies them"
	}
	return ""
}

func (c *Config) checkTLS(d *decoder) {
	t := c.TLS
	at := value{d: d, path: "tls", origin: cmp.Or(c.origins["tls.certificate"], c.origins["tls.key"], c.origins["tls.client_ca"])}
	switch {
	case (t.Certificate == "") != (t.Key == ""):
		at.fault("needs both certificate and key, the paths of files in PEM")
	case t.ClientCA != "" && t.Certificate == "":
		at.fault("client_ca needs certificate and key: clients show a certificate to a server that has one")
	}
}

// checkTokens reports what is wrong with the section jwt, if there is one.
func (c *Config) checkTokens(d *decoder) {
	at := cmp.Or(c.origins["jwt.issuers"], c.origins["jwt.header"], c.origins["jwt.leeway"])
	if at == (Origin{}) {
		return
	}
	for _, err := range split(c.JWT.Validate()) {
		if e, ok := errors.AsType[*jwt.FieldError](err); ok {
			path := "jwt." + e.Field
			value{d: d, path: path, origin: c.placeOf(path, at)}.fault("%s", e.Text)
		}
	}
}

// placeOf returns where a field was given, or else what it is a part of.
func (c *Config) placeOf(path string, whole Origin) Origin {
	for path != "" {
		if o, ok := c.origins[path]; ok {
			return o
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return whole
}

// split returns the errors that were joined.
func split(err error) []error {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()
	}
	return nil
}
