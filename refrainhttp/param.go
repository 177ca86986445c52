package refrainhttp

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// A param is a wildcard of a pattern, by where it stands.
type param struct {
	segment int  // of the path, from 0
	rest    bool // it stands for all that follows, too
}

// newParams finds the wildcards that a RouteScope such as "path:account" names.
func newParams(scope RouteScope, pattern string) ([]param, error) {
	names, ok := strings.CutPrefix(string(scope), "path:")
	if !ok {
		return nil, fmt.Errorf("%q is none of pattern, path, path:NAME, none", scope)
	}
	var all []param
	for name := range strings.SplitSeq(names, ",") {
		p, ok := findParam(pattern, name)
		if !ok {
			return nil, fmt.Errorf("%q has no {%s}, which %s is about", pattern, name, scope)
		}
		all = append(all, p)
	}
	return all, nil
}

// findParam returns the wildcard of a pattern with that name.
func findParam(pattern, name string) (param, bool) {
	_, path, _ := strings.Cut(pattern, "/")
	for i, segment := range strings.Split(path, "/") {
		switch segment {
		case "{" + name + "}":
			return param{segment: i}, name != "" && name != "$"
		case "{" + name + "...}":
			return param{i, true}, name != ""
		}
	}
	return param{}, false
}

// resource names what a request is about: the pattern, and what the path has for its wildcards.
func (s *scoper) resource(r *http.Request) string {
	if clean := cleaned(r); clean != nil {
		r = clean
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	b := appendString(nil, s.pattern)
	for _, p := range s.params {
		b = appendString(b, p.value(path))
	}
	return string(b)
}

// value returns what a clean path without its first slash has for the wildcard, as http.Request.PathValue does.
func (p param) value(path string) string {
	for range p.segment {
		_, path, _ = strings.Cut(path, "/")
	}
	if !p.rest {
		path, _, _ = strings.Cut(path, "/")
	}
	plain, err := url.PathUnescape(path)
	if err != nil {
		return path // as the mux does
	}
	return plain
}
