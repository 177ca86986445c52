package refrainhttp

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A Finder finds out who requests come from, for a scheme that this package does not know.
type Finder struct {
	// Find returns the principal that a request comes from, or "" if the request names none; the next source is asked then.
	// It must be sure of what it returns: the principal decides whose answers a request may get. An error refuses a request
	// with a key, and its text goes to the client, so it must not quote the request: what is wrong with a credential does
	// not make its bearer anonymous. Find may be called concurrently.
	Find func(r *http.Request) (principal string, err error)
	// Reads names the header fields that Find goes by. Two requests without a principal that differ in one of them are
	// never taken for the same.
	Reads []string
	// Shared says that several callers may have one principal, as those behind one address do. Then Set-Cookie is not kept.
	Shared bool
	// Challenge, if not empty, is the WWW-Authenticate (RFC 9110 section 11.6.1) of a refusal, which is a 401 then: another
	// credential may do better. Without one it is a 403.
	Challenge string
}

// Sources make Finders, by scheme: a Source "jwt:sub" is what Sources["jwt"]("sub") makes, once, when the policy is compiled.
// An error says what is wrong with the name.
type Sources map[string]func(name string) (Finder, error)

// A principalSource is a place in a request that may say who it comes from.
type principalSource struct {
	Finder
	source Source
	name   string // in the principal: of a header its own, of anything else one with a colon, which no header has
	asks   bool   // a Finder that is not this package's
}

func newPrincipalSource(source Source, known Sources) (principalSource, error) {
	scheme, name, _ := strings.Cut(string(source), ":")
	s := principalSource{source: source, name: scheme + ":" + name}
	if newFinder, ok := known[scheme]; ok {
		var err error
		if s.Finder, err = newFinder(name); err != nil {
			return s, fmt.Errorf("%q: %w", source, err)
		}
		s.asks = true
		s.Reads, err = canonicalNames(s.Reads)
		return s, err
	}
	switch {
	case scheme == "header" && isTakenOut(http.CanonicalHeaderKey(name)):
		return s, fmt.Errorf("%q is no field that names a caller: net/http takes it out of a request's header", source)
	case scheme == "header" && isToken(name):
		s.name = http.CanonicalHeaderKey(name)
		s.Find = headerFinder(s.name)
	case scheme == "cookie" && isToken(name):
		s.Find = cookieFinder(s.name, name)
	default:
		return s, fmt.Errorf("%q is neither header:NAME, cookie:NAME nor none", source)
	}
	return s, nil
}

// headerFinder takes all lines of a field for the principal, if one of them names somebody.
func headerFinder(name string) func(*http.Request) (string, error) {
	return func(r *http.Request) (string, error) {
		if values := r.Header[name]; slices.ContainsFunc(values, namesSomebody) {
			return credential(name, values), nil
		}
		return "", nil
	}
}

// namesSomebody reports whether a field's value is a credential. Many clients of many callers send none in the same words: a
// scheme without anything behind it, or what their language writes for a variable that is not set.
func namesSomebody(value string) bool {
	last := value[strings.LastIndexByte(value, ' ')+1:]
	if len(last) > len("undefined") {
		return true // nearly always
	}
	switch strings.ToLower(last) {
	case "", "bearer", "basic", "token", "digest", "apikey", "null", "(null)", "nil", "none", "undefined":
		return false
	}
	return true
}

func cookieFinder(label, name string) func(*http.Request) (string, error) {
	return func(r *http.Request) (string, error) {
		var room [4]string
		if values := cookies(room[:0], r, name); len(values) > 0 {
			return credential(label, values), nil
		}
		return "", nil
	}
}

// cookies appends all values that a request has for a cookie, those that Request.CookiesNamed returns: of two, who reads the
// second sees another caller than who reads the first. Quotes are part of a value: not every reader takes them off.
func cookies(values []string, r *http.Request, name string) []string {
	for _, line := range r.Header["Cookie"] {
		for part := range strings.SplitSeq(line, ";") {
			label, value, _ := strings.Cut(strings.Trim(part, " \t\r\n"), "=")
			if strings.TrimRight(label, " \t\r\n") == name && value != "" && isCookieValue(value) {
				values = append(values, value)
			}
		}
	}
	return values
}

// isCookieValue reports whether net/http takes a value for one, with its quotes.
func isCookieValue(s string) bool {
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == ';' || c == '\\' {
			return false
		}
	}
	return true
}

// of returns the principal, "" if the request has none here.
func (s *principalSource) of(r *http.Request) (string, error) {
	found, err := s.Find(r)
	if found == "" || err != nil || !s.asks {
		return found, err
	}
	return credential(s.name, []string{found}), nil
}

// credentials are the fields that tell callers apart whom no source names: those in which clients send credentials, and those
// in which gateways and load balancers say whom they have let in.
func (s *scoper) credentials() map[string]bool {
	names := []string{
		"Cookie", "Authorization", "X-Api-Key",
		"Api-Key", "Apikey", "Api-Token", "X-Api-Token", "X-Auth", "X-Auth-Key", "X-Auth-Token", "X-Access-Token", "X-Token",
		"X-User-Token", "X-Session", "X-Session-Id", "X-Session-Token", "Private-Token", "X-Goog-Api-Key", "X-Functions-Key",
		"Ocp-Apim-Subscription-Key", "X-Amz-Security-Token", "X-Shopify-Access-Token", "X-Vault-Token",
		"X-User", "X-User-Id", "X-Account", "X-Account-Id", "X-Client-Id", "X-Customer-Id", "X-Tenant", "X-Tenant-Id", "X-Org-Id",
		"Remote-User", "X-Remote-User", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Access-Token",
		"X-Forwarded-Client-Cert", "X-Auth-Request-User", "X-Auth-Request-Email", "X-Authenticated-Userid", "X-Consumer-Id",
		"X-Goog-Iap-Jwt-Assertion", "Cf-Access-Jwt-Assertion", "X-Amzn-Oidc-Data", "X-Ms-Client-Principal",
	}
	for _, p := range s.principal {
		names = append(names, p.Reads...)
	}
	all := make(map[string]bool, len(names))
	for _, name := range names {
		all[name] = true
	}
	return all
}
