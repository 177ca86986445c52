package config

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// methods are those that can be protected, safe those that change nothing.
var (
	methods = []string{"POST", "PUT", "PATCH", "DELETE"}
	safe    = []string{"GET", "HEAD", "OPTIONS", "TRACE"}
)

// readPatterns reads a route's match: one pattern or a list of them.
func readPatterns(v value) []Pattern {
	items, ok := v.items()
	if ok && len(items) == 0 {
		v.fault(`is empty; write a method and a path, such as "POST /charges"`)
	}
	patterns := make([]Pattern, 0, len(items))
	for _, item := range items {
		text, ok := item.scalar()
		if !ok {
			continue
		}
		if why := checkMethod(text); why != "" {
			item.fault("%s", why)
			continue
		}
		patterns = append(patterns, Pattern{Text: text, Origin: item.origin, path: item.path})
	}
	return patterns
}

// checkMethod says what is wrong with a pattern's method, if anything is.
func checkMethod(pattern string) string {
	method, rest, _ := strings.Cut(pattern, " ")
	switch {
	case rest == "":
		return fmt.Sprintf(`%q is not a method and a path, such as "POST /charges"`, pattern)
	case slices.Contains(methods, method):
		return ""
	case slices.Contains(methods, strings.ToUpper(method)):
		return fmt.Sprintf("method %q must be in capitals: %s", method, strings.ToUpper(method))
	case slices.Contains(safe, method):
		return method + " changes nothing on the upstream, so there is nothing to protect; remove it"
	}
	have := strings.Join(methods, ", ")
	if near := nearest(method, methods); near != "" {
		return fmt.Sprintf("method %q cannot be protected; did you mean %s? The methods are %s", method, near, have)
	}
	return fmt.Sprintf("method %q cannot be protected; the methods are %s", method, have)
}

// checkPatterns reports patterns that net/http does not understand, and those that overlap without one of them being
// more specific.
func checkPatterns(d *decoder, routes []Route) {
	mux := http.NewServeMux()
	places := map[string]Origin{}
	for _, r := range routes {
		for _, p := range r.Match {
			at := value{d: d, path: p.path, origin: p.Origin}
			if first, twice := places[p.Text]; twice {
				at.fault("%q is matched already at %s; remove one", p.Text, first)
				continue
			}
			if err := register(mux, p.Text); err != nil {
				at.fault("%s", explainConflict(err, places))
				continue
			}
			places[p.Text] = p.Origin
		}
	}
}

// register reports what is wrong with a pattern. A ServeMux tells so by panicking only.
func register(mux *http.ServeMux, pattern string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	mux.Handle(pattern, http.NotFoundHandler())
	return nil
}

// explainConflict says what is wrong with a pattern, and puts the file's places where the ServeMux speaks of Go source.
func explainConflict(err error, places map[string]Origin) string {
	first, detail, _ := strings.Cut(err.Error(), "\n")
	_, other, found := strings.Cut(first, "conflicts with pattern ")
	if !found {
		return explainSyntax(first)
	}
	other, _ = strconv.QuotedPrefix(other)
	name, _ := strconv.Unquote(other)
	detail = strings.Join(strings.Fields(detail), " ")
	return fmt.Sprintf("conflicts with %s at %s: %s", other, places[name], detail)
}

// explainSyntax says what to do about a pattern that net/http does not understand.
func explainSyntax(text string) string {
	for about, remedy := range map[string]string{
		"host/path missing /": "; a path begins with a slash: POST /charges",
		"unclean path":        "; leave out //, . and ..: a request with them is not taken for one without",
	} {
		if strings.Contains(text, about) {
			return text + remedy
		}
	}
	return text
}

// getPattern is a kind of patterns of requests that only read.
func getPattern() kind[string] {
	parse := func(text string) (string, error) {
		if method, _, _ := strings.Cut(text, " "); method != http.MethodGet {
			return "", fmt.Errorf("%q is not about a GET; write one such as GET /v1/config", text)
		}
		return text, register(http.NewServeMux(), text)
	}
	return scalar(parse, strings.Clone)
}
