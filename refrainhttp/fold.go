package refrainhttp

import (
	"net/url"
	"path"
	"strings"
)

// isPlainPath reports whether a path is what it is folded to. It may report false for one that is.
func isPlainPath(p string) bool {
	for i := range len(p) {
		switch c := p[i]; {
		case 'a' <= c && c <= 'z', isDigit(c), c == '-', c == '_':
		case c == '/' && i+1 < len(p) && p[i+1] != '/':
		default:
			return false
		}
	}
	return true
}

// isPlainHost reports whether a host, with or without its port, is in the form that hosts are compared in.
func isPlainHost(host string) bool {
	return strings.ToLower(host) == host && !strings.HasSuffix(host, ".") && !strings.Contains(host, ".:")
}

// foldHost returns a host as servers compare it, without its port.
func foldHost(host string) string {
	host = strings.ToLower(host)
	if at := strings.LastIndexByte(host, ':'); at >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:at]
	}
	return strings.TrimSuffix(host, ".")
}

// foldPath returns a path as the most lenient of servers reads it: decoded as often as that can be, in lower case, with slashes
// for backslashes, and without empty and dot segments, parameters, a front controller, an extension and a slash at its end.
func foldPath(p string) string {
	const manyTimes = 3
	for range manyTimes {
		plain, err := url.PathUnescape(p)
		if err != nil {
			break
		}
		p = plain
	}
	segments := strings.Split(strings.ReplaceAll(p, `\`, "/"), "/")
	for i, s := range segments {
		segments[i] = foldSegment(s)
	}
	return withoutExtension(path.Clean("/" + strings.Join(segments, "/")))
}

// foldSegment returns a segment without what some servers do not look at. The front controller of applications in PHP is
// nothing: /index.php/x is /x.
func foldSegment(s string) string {
	if s == "." || s == ".." {
		return s
	}
	if end := strings.IndexFunc(s, func(r rune) bool { return r == ';' || isControl(r) }); end >= 0 {
		s = s[:end]
	}
	if s = strings.ToLower(strings.TrimRight(s, ". ")); s == "index.php" {
		return ""
	}
	return s
}

func withoutExtension(p string) string {
	name := strings.LastIndexByte(p, '/') + 1
	dot := strings.LastIndexByte(p, '.')
	if dot <= name || p[name] == '{' {
		return p
	}
	if cut := strings.TrimRight(p[:dot], "."); len(cut) > name {
		return cut
	}
	return p
}

// A foldedPattern says which folded paths stand for those of a pattern.
type foldedPattern struct {
	method     string
	paths      []string // with the host in front
	everything bool     // they are all paths
	changed    bool     // they are not those of the pattern
}

func fold(pattern string) foldedPattern {
	method, rest, found := strings.Cut(pattern, " ")
	if !found {
		method, rest = "", pattern
	}
	rest = strings.TrimLeft(rest, " ")
	host, p, _ := strings.Cut(rest, "/")
	host = strings.ToLower(host)
	below := p == "" || strings.HasSuffix(p, "/") || strings.HasSuffix(p, "...}")
	kept := make([]string, 0, 8)
	for s := range strings.SplitSeq(p, "/") {
		if !strings.HasPrefix(s, "{") {
			s = foldSegment(s)
		}
		if s != "" && s != "{$}" && !strings.HasSuffix(s, "...}") {
			kept = append(kept, s)
		}
	}
	folded := host + "/" + strings.Join(kept, "/")
	f := foldedPattern{method: method, paths: []string{withoutExtension(folded)}, changed: withoutExtension(folded) != rest}
	const anything = "/{refrain_below...}"
	switch {
	case len(kept) == 0 && below:
		f.everything, f.paths = true, []string{host + "/"}
	case len(kept) == 0:
		f.paths = []string{host + "/{$}"}
	case below:
		f.paths = append(f.paths, folded+anything)
	case strings.HasSuffix(strings.ToLower(p), ".php"): // which is run with the rest of the path
		f.paths = append(f.paths, host+"/"+strings.ToLower(p)+anything)
	}
	return f
}
