package refrainhttp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/refrain-dev/refrain"
)

// A scoper names the namespace of a request's key.
type scoper struct {
	principal []string // header names
	route     RouteScope
	pattern   string
}

func newScoper(p Policy, pattern string) (scoper, error) {
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
		name, isHeader := strings.CutPrefix(string(src), "header:")
		switch {
		case src == "none" && len(p.Principal) == 1:
		case src == "none":
			return s, errors.New("principal: none stands alone")
		case !isHeader || !isToken(name):
			return s, fmt.Errorf("principal: %q is neither header:NAME nor none", src)
		default:
			s.principal = append(s.principal, http.CanonicalHeaderKey(name))
		}
	}
	return s, nil
}

// of returns the scope of a request. Its principal is empty when nobody knows who it comes from.
func (s *scoper) of(r *http.Request) refrain.Scope {
	var scope refrain.Scope
	for _, name := range s.principal {
		if values := r.Header[name]; len(values) > 0 {
			scope.Principal = credential(name, values)
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
