package jwt

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
)

const (
	defaultHeader = "Authorization"
	defaultLeeway = 30 * time.Second
	maxLeeway     = 5 * time.Minute
)

// A Config says whose tokens are believed. There is no default for Issuers: nobody is trusted unasked.
type Config struct {
	// Issuers are those who are trusted, each by its own keys: a key of one never vouches for another.
	Issuers []Issuer
	// Header is the name of the header that carries the token. If empty, Authorization, with the scheme Bearer (RFC 6750
	// section 2.1). In any other header the scheme may be left out. Who reads the file checks that it is a header's name.
	Header string
	// Leeway is how far the clocks of an issuer and of this machine may be apart. If zero, 30 seconds; at most 5 minutes.
	Leeway time.Duration
}

// An Issuer is one party whose tokens are believed.
type Issuer struct {
	// Name is what its tokens have in iss, compared byte by byte (RFC 7519 section 4.1.1).
	Name string
	// Keys is where its public keys are, as a JWK Set (RFC 7517 section 5): the path of a file, or a URL with https, or with
	// http if the host is a loopback address.
	Keys string
	// Audiences are the names that this API has in aud. A token needs one of them.
	Audiences []string
	// AnyAudience, if not empty, waives the check of aud, and says why that is safe: whoever gets a token for any other API
	// of this issuer can use it here. The reason is logged at each start.
	AnyAudience string
	// Algorithms are those that it signs with, by their names in RFC 7518 section 3.1 and RFC 8037. If empty, RS256, PS256,
	// ES256 and EdDSA. Only algorithms with a public key are possible.
	Algorithms []string
}

var (
	defaultAlgorithms   = []string{"RS256", "PS256", "ES256", "EdDSA"}
	supportedAlgorithms = []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
)

// A FieldError is a field of a Config that cannot be as it is.
type FieldError struct {
	Field string // its path, such as "issuers[0].keys"
	Text  string // what is wrong and what would be right
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Text }

// Validate returns everything that is wrong with the configuration, as a join of FieldErrors, or nil. It opens nothing.
func (c Config) Validate() error {
	var v validation
	if len(c.Issuers) == 0 {
		v.fault("issuers", "is empty; name at least one issuer whose tokens are to be believed")
	}
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		v.fault("leeway", "%s is out of range; it must be from 0s to %s", c.Leeway, maxLeeway)
	}
	names := make(map[string]bool, len(c.Issuers))
	for i, issuer := range c.Issuers {
		v.at = fmt.Sprintf("issuers[%d].", i)
		if names[issuer.Name] {
			v.fault("name", "%q is listed twice; remove one", issuer.Name)
		}
		names[issuer.Name] = true
		issuer.validate(&v)
	}
	return errors.Join(v.errs...)
}

func (i Issuer) validate(v *validation) {
	if i.Name == "" || !plain(i.Name) {
		v.fault("name", "%q cannot be an issuer; write what its tokens have in iss", i.Name)
	}
	validateKeys(v, i.Keys)
	i.validateAudiences(v)
	for n, name := range i.Algorithms {
		validateAlgorithm(v, fmt.Sprintf("algorithms[%d]", n), name)
	}
}

func (i Issuer) validateAudiences(v *validation) {
	waived := strings.TrimSpace(i.AnyAudience) != ""
	switch {
	case i.AnyAudience != "" && !waived:
		v.fault("any_audience", "gives no reason; say why tokens that are meant for others may be used here")
	case waived && len(i.Audiences) > 0:
		v.fault("any_audience", "contradicts audiences; remove one of the two")
	case !waived && len(i.Audiences) == 0:
		v.fault("audiences", "is empty: tokens for any other API of this issuer would be accepted; write the name that this "+
			"API has in aud, or in any_audience why that is safe")
	}
	for n, name := range i.Audiences {
		if name == "" || !plain(name) {
			v.fault(fmt.Sprintf("audiences[%d]", n), "%q cannot be an audience; write what tokens have in aud", name)
		}
	}
}

func validateAlgorithm(v *validation, field, name string) {
	switch {
	case slices.Contains(supportedAlgorithms, jose.SignatureAlgorithm(name)):
	case strings.EqualFold(name, "none"):
		v.fault(field, "none means that anyone can write any token; remove it")
	case strings.HasPrefix(name, "HS"):
		v.fault(field, "%s needs a secret, and a key set is public: anyone could sign with it; use one of %s", name, supported())
	default:
		v.fault(field, "%q is not known; supported: %s", name, supported())
	}
}

func supported() string {
	names := make([]string, len(supportedAlgorithms))
	for i, a := range supportedAlgorithms {
		names[i] = string(a)
	}
	return strings.Join(names, ", ")
}

func validateKeys(v *validation, keys string) {
	if keys == "" {
		v.fault("keys", "is empty; write the URL or the file of the issuer's JWK Set, often the jwks_uri of its "+
			"/.well-known/openid-configuration")
		return
	}
	if !isURL(keys) {
		return
	}
	u, err := url.Parse(keys)
	switch {
	case err != nil || u.Host == "":
		v.fault("keys", "is not a URL; write one such as https://issuer.example/jwks.json")
	case u.User != nil:
		v.fault("keys", "has a password in it, which is not supported; key sets are public")
	case u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()):
	case u.Scheme == "http":
		v.fault("keys", "http lets anyone on the way put in keys of his own; write https://%s", u.Host)
	default:
		v.fault("keys", "scheme %q is not known; supported: https://, http:// to a loopback address, or the path of a file",
			u.Scheme)
	}
}

func isURL(keys string) bool { return strings.Contains(keys, "://") }

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// plain reports whether s is text in which every character is itself: JSON decoders write U+FFFD for what they cannot read,
// so with that in it, two names could be one.
func plain(s string) bool { return !strings.ContainsRune(s, utf8.RuneError) }

// A validation gathers what is wrong.
type validation struct {
	at   string // the path of what is looked at
	errs []error
}

func (v *validation) fault(field, format string, args ...any) {
	v.errs = append(v.errs, &FieldError{Field: v.at + field, Text: fmt.Sprintf(format, args...)})
}

func (c Config) header() string { return cmp.Or(c.Header, defaultHeader) }

func (c Config) leeway() time.Duration { return cmp.Or(c.Leeway, defaultLeeway) }

func (i Issuer) algorithms() []string {
	if len(i.Algorithms) == 0 {
		return defaultAlgorithms
	}
	return i.Algorithms
}
