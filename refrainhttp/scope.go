package refrainhttp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/refrain-dev/refrain"
)

// A scoper names the namespace of a request's key.
type scoper struct {
	principal []principalSource
	route     RouteScope
	pattern   string
	host      string  // of the pattern, if it has one: the same path of another host is another resource
	params    []param // of the path
	headers   []string
	members   []*pointer // of a body
}

func newScoper(p Policy, pattern string, known Sources) (scoper, error) {
	s := scoper{route: p.RouteScope, pattern: pattern, host: hostOf(pattern)}
	switch p.RouteScope {
	case RoutePattern, RoutePath, RouteNone:
	default:
		var err error
		if s.params, err = newParams(p.RouteScope, pattern); err != nil {
			return s, fmt.Errorf("route: %w", err)
		}
	}
	var err error
	if s.headers, err = canonicalNames(p.ScopeHeaders); err != nil {
		return s, fmt.Errorf("headers: %w", err)
	}
	if at := slices.IndexFunc(s.headers, isTakenOut); at >= 0 {
		return s, fmt.Errorf("headers: net/http takes %s out of a request's header, so that no key would be bound to it", s.headers[at])
	}
	slices.Sort(s.headers) // their order in the policy says nothing
	for _, text := range p.ScopeBody {
		if _, err := newEcho(text); err != nil {
			return s, fmt.Errorf("body: %w", err)
		}
		s.members = append(s.members, &pointer{text: text})
	}
	if len(p.Principal) == 0 {
		return s, errors.New("principal: the list is empty; use none if there are no principals to tell apart")
	}
	for _, src := range p.Principal {
		if src == "none" {
			if len(p.Principal) > 1 {
				return s, errors.New("principal: none stands alone")
			}
			continue
		}
		one, err := newPrincipalSource(src, known)
		if err != nil {
			return s, fmt.Errorf("principal: %w", err)
		}
		s.principal = append(s.principal, one)
	}
	return s, nil
}

// A caller is who a request comes from. The zero caller is somebody whom no source names.
type caller struct {
	principal string
	source    *principalSource
}

// private reports whether nobody else has the caller's principal, so that its cookies may be kept for it.
func (c *caller) private() bool { return c.principal != "" && !c.source.Shared }

// caller returns who a request comes from: the first source that names somebody. After an error it is the source that gave it.
func (s *scoper) caller(r *http.Request) (caller, error) {
	for i := range s.principal {
		source := &s.principal[i]
		found, err := source.of(r)
		if found != "" || err != nil {
			return caller{found, source}, err
		}
	}
	return caller{}, nil
}

// of returns the scope of a request from the principal, which is empty when nobody knows who it comes from.
func (s *scoper) of(r *http.Request, principal string) refrain.Scope {
	scope := refrain.Scope{Principal: s.within(r.Header, principal)}
	switch s.route {
	case RoutePattern:
		scope.Route = s.pattern
	case RoutePath:
		scope.Route = r.Method + " " + s.host + escapedPath(r.URL)
	case RouteNone:
	default:
		scope.Route = s.resource(r)
	}
	return scope
}

// within returns the principal, together with the headers that its keys are bound to if the request has any of them. Every
// part is length-prefixed, and no principal begins with a zero byte.
func (s *scoper) within(h http.Header, principal string) string {
	if !slices.ContainsFunc(s.headers, func(name string) bool { return len(h[name]) > 0 }) {
		return principal
	}
	var room [256]byte
	b := appendString(append(room[:0], 0), principal)
	for _, name := range s.headers {
		if lines := h[name]; len(lines) > 0 {
			b = appendLines(appendString(b, name), lines)
		}
	}
	return string(b)
}

// bind binds the keys of a scope to what the body has of the members. Every part is length-prefixed, and no principal begins
// with a zero byte, nor does one together with headers have a length that is written so.
func (s *scoper) bind(scope refrain.Scope, body []byte, work *workspace) refrain.Scope {
	if len(s.members) == 0 {
		return scope
	}
	doc := work.read(body, s.members[0].tree)
	var room [256]byte
	b := appendString(append(room[:0], 0, 0x80, 0), scope.Principal)
	for _, m := range s.members {
		var found []byte
		if doc.plain {
			found = wholeAt(m, body, work)
		}
		b = appendString(b, string(found))
	}
	scope.Principal = string(b)
	return scope
}

// wholeAt returns the canonical form of what a body that was read has at the pointer. What is wanted of an object or an array is
// no more of it than is compared, and a key is bound to all of it.
func wholeAt(p *pointer, body []byte, work *workspace) []byte {
	found, _ := work.json.wanted(p.node)
	if len(found) > 0 && (found[0] == '{' || found[0] == '[') {
		at, _ := work.json.place(p.node)
		found, _ = new(canonicaliser).append(nil, body[at.start:at.end], nil)
	}
	return found
}

// escapedPath is EscapedPath of a URL, which looks longer at each character.
func escapedPath(u *url.URL) string {
	if u.RawPath == "" && isPlain(u.Path) {
		return u.Path // nearly always
	}
	return u.EscapedPath()
}

// isPlain reports whether a path has nothing to escape. It may report false for one that has not.
func isPlain(path string) bool {
	for i := range len(path) {
		if c := path[i]; c|0x20-'a' >= 26 && c-'-' > '9'-'-' && c != '_' { // from the hyphen to the nine: the dot, the slash, digits
			return false
		}
	}
	return true
}

// asks reports whether a function says who a request comes from: what it goes by, such as the time or the connection, is not
// in the request's bytes.
func (s *scoper) asks() bool {
	return slices.ContainsFunc(s.principal, func(p principalSource) bool { return p.asks })
}

// private reports whether there is a source whose principals may get cookies.
func (s *scoper) private() bool {
	return slices.ContainsFunc(s.principal, func(p principalSource) bool { return !p.Shared })
}

// credential joins a header's values so that no two headers give the same string: every part is length-prefixed.
func credential(name string, values []string) string {
	var room [256]byte
	b := appendString(room[:0], name)
	for _, v := range values {
		b = appendString(b, v)
	}
	return string(b)
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
