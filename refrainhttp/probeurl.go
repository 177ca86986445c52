package refrainhttp

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// The variables of probes that others do not have.
const (
	varAttempt = "attempt"
	varPath    = "path:NAME"
	varHeader  = "header:NAME"
)

// A probeURL is a URL whose path and query hold variables.
type probeURL struct {
	origin      string // scheme and host, as the configuration has them
	path, query template
}

func newProbeURL(text, base string) (u probeURL, err error) {
	rest := text
	switch {
	case text == "":
		return u, errors.New("is missing; name the request that asks whether an operation happened")
	case strings.HasPrefix(text, "//"):
		return u, errors.New("has no scheme; write http:// or https:// in front, or a path behind the upstream")
	case text[0] == '/' && base != "":
		u.origin = strings.TrimSuffix(base, "/")
	default:
		if u.origin, rest, err = cutOrigin(text); err != nil {
			return u, err
		}
	}
	path, query, _ := strings.Cut(rest, "?")
	if !strings.HasPrefix(path, "/") {
		return u, errors.New("has no path; write one behind the host, such as /charges?key=${key}")
	}
	variables := []string{varKey, varAttempt, varPath}
	if u.path, err = newTemplate(path, variables); err != nil {
		return u, err
	}
	if u.query, err = newTemplate(query, variables); err != nil {
		return u, err
	}
	return u, u.check()
}

// cutOrigin takes the scheme and host off a URL.
func cutOrigin(text string) (origin, rest string, err error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found || scheme != "http" && scheme != "https" {
		return "", "", errors.New("begins neither with http:// or https:// nor with a slash, for a path of the upstream")
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	origin = scheme + "://" + rest[:end]
	return origin, rest[end:], checkOrigin(origin)
}

// checkOrigin says what is wrong with a scheme and host. It does not repeat them, for they may hold a password.
func checkOrigin(origin string) error {
	parsed, err := url.Parse(origin)
	switch {
	case strings.Contains(origin, "${"):
		return errors.New("its host must not depend on a request; write it without a variable")
	case strings.Contains(origin, "@"):
		return errors.New("a user and password do not belong in it; write a header line such as Authorization")
	case err != nil, parsed.Hostname() == "":
		return errors.New("has no host that is one; write it behind http:// or https://")
	}
	return nil
}

// check sees to it that what is fixed means the same to every reader.
func (u *probeURL) check() error {
	for _, t := range []template{u.path, u.query} {
		for _, s := range t {
			if !s.variable && !isURLText(s.text) {
				return errors.New("has a character that must be percent-encoded in a URL, or a fragment")
			}
		}
	}
	sample := u.path.expand(constant("x"), strings.Clone, false)
	if hasDotSegment(sample) || strings.Contains(sample, "//") {
		return errors.New("its path has an empty segment or one that is . or ..; write it without")
	}
	return nil
}

// constant is one value for all variables.
type constant string

func (c constant) value(string, *pointer) string { return string(c) }

// isURLText reports whether all of a text can stand in a URL behind its host.
func isURLText(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return false
			}
			i += 2
		case !isUnreserved(c) && strings.IndexByte("/?:@!$&'()*+,;=", c) < 0:
			return false
		}
	}
	return true
}

// isUnreserved reports whether a character means itself anywhere in a URL (RFC 3986, section 2.3).
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c) || strings.IndexByte("-._~", c) >= 0
}

// escapeURL percent-encodes whatever could mean something else than itself.
func escapeURL(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isUnreserved(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

// hasDotSegment reports whether a path has a segment that a server may resolve (RFC 3986, section 5.2.4).
func hasDotSegment(path string) bool {
	segments := strings.Split(strings.ReplaceAll(strings.ToLower(path), "%2e", "."), "/")
	return slices.Contains(segments, ".") || slices.Contains(segments, "..")
}

// errUnfit says that a value cannot be asked about.
var errUnfit = errors.New("a variable is empty or cannot stand in its place")

// expand returns the URL for the values.
func (u *probeURL) expand(v variables) (string, error) {
	path := u.path.expand(pathValues{v}, escapeURL, true)
	if path == "" || hasDotSegment(path) {
		return "", errUnfit
	}
	if len(u.query) == 0 {
		return u.origin + path, nil
	}
	query := u.query.expand(v, escapeURL, true)
	if query == "" {
		return "", errUnfit
	}
	return u.origin + path + "?" + query, nil
}

// pathValues are those of the variables that can be one segment of a path, or part of one, for every server: some decode a
// path before they take it apart, and some decode it twice.
type pathValues struct{ variables }

func (p pathValues) value(name string, at *pointer) string {
	v := p.variables.value(name, at)
	if strings.ContainsAny(v, `/\%`) || strings.ContainsFunc(v, isControl) {
		return ""
	}
	return v
}
