package refrainhttp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/refrain-dev/refrain"
)

// sources are Config.Sources.
type sources = map[string]func(r *http.Request, name string) string

// A scoper names the namespace of a request's key.
type scoper struct {
	principal []principalSource
	route     RouteScope
	pattern   string
}

// A principalSource is a place in a request that may say who it comes from.
type principalSource struct {
	scheme, name string
	find         func(r *http.Request, name string) string // of a scheme from Config.Sources
}

func newScoper(p Policy, pattern string, known sources) (scoper, error) {
	s := scoper{route: p.RouteScope, pattern: pattern}
	switch p.RouteScope {
	case RoutePattern, RoutePath, RouteNone:
	default:
		return s, fmt.Errorf("route: %q is none of pattern, path, none", p.RouteScope)
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
		one, err := newPrincipalSource(string(src), known)
		if err != nil {
			return s, fmt.Errorf("principal: %w", err)
		}
		s.principal = append(s.principal, one)
	}
	return s, nil
}

func newPrincipalSource(text string, known sources) (principalSource, error) {
	scheme, name, _ := strings.Cut(text, ":")
	s := principalSource{scheme: scheme, name: name, find: known[scheme]}
	switch {
	case s.find != nil:
	case (scheme == "header" || scheme == "cookie") && isToken(name):
		if scheme == "header" {
			s.name = http.CanonicalHeaderKey(name)
		}
	default:
		return s, fmt.Errorf("%q is neither header:NAME, cookie:NAME nor none", text)
	}
	return s, nil
}

// of returns the principal, "" if the request has none here.
func (s *principalSource) of(r *http.Request) string {
	switch {
	case s.find != nil:
		if found := s.find(r, s.name); found != "" {
			return credential(s.scheme+":"+s.name, []string{found})
		}
	case s.scheme == "cookie":
		if c, err := r.Cookie(s.name); err == nil && c.Value != "" {
			return credential("cookie:"+s.name, []string{c.Value})
		}
	default:
		if values := r.Header[s.name]; len(values) > 0 {
			return credential(s.name, values)
		}
	}
	return ""
}

// of returns the scope of a request. Its principal is empty when nobody knows who it comes from.
func (s *scoper) of(r *http.Request) refrain.Scope {
	var scope refrain.Scope
	for i := range s.principal {
		if scope.Principal = s.principal[i].of(r); scope.Principal != "" {
			break
		}
	}
	switch s.route {
	case RoutePattern:
		scope.Route = s.pattern
	case RoutePath:
		scope.Route = r.Method + " " + r.URL.EscapedPath()
	}
	return scope
}

// asks reports whether a function says who a request comes from: what it goes by, such as the time or the connection, is not
// in the request's bytes.
func (s *scoper) asks() bool {
	return slices.ContainsFunc(s.principal, func(p principalSource) bool { return p.find != nil })
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
