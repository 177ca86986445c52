package refrainhttp

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// resourcePatterns have wildcards in every place that one can stand in.
var resourcePatterns = map[string]string{
	"POST /{a}":                "a",
	"POST /accounts/{a}/x":     "a",
	"POST /accounts/{a}/x/{$}": "a",
	"POST /orgs/{a}/users/{b}": "a,b",
	"POST /files/{a}/{b...}":   "a,b",
	"api.example/deep/er/{b}/": "b",
	"/rest/{b...}":             "b",
}

// FuzzResource: what a path has for a wildcard is what net/http says it has.
func FuzzResource(f *testing.F) {
	for _, path := range []string{
		"/x", "/accounts/7/x", "/accounts/a%2Fb/x", "/accounts/%41/x", "/accounts//x", "/accounts/../accounts/7/x", "/orgs/1/users/2",
		"/files/a/b/c/", "/files/a/", "/rest/", "/rest", "/deep/er/%00/y/z", "/accounts/%zz/x", "/accounts/a:b/x/", "/%2F", "//x", "/a//b/",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r, err := http.NewRequest(http.MethodPost, "http://api.example", nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.URL, err = r.URL.Parse(path); err != nil || !strings.HasPrefix(r.URL.Path, "/") {
			return
		}
		r.Host = "api.example"
		for pattern, names := range resourcePatterns {
			checkResource(t, r, pattern, names)
		}
	})
}

func checkResource(t *testing.T, r *http.Request, pattern, names string) {
	t.Helper()
	params, err := newParams(RouteScope("path:"+names), pattern)
	if err != nil {
		t.Fatal(err)
	}
	s := scoper{pattern: pattern, params: params}
	mux := http.NewServeMux()
	mux.HandleFunc(pattern, func(_ http.ResponseWriter, r *http.Request) {
		want := appendString(nil, pattern)
		for name := range strings.SplitSeq(names, ",") {
			want = appendString(want, r.PathValue(name))
		}
		if got := s.resource(r); got != string(want) {
			t.Errorf("%s, %s: got %q, want %q", pattern, r.URL.EscapedPath(), got, want)
		}
	})
	mux.ServeHTTP(httptest.NewRecorder(), r.Clone(t.Context()))
}

func TestScopesWithoutTheirWildcardAreRefused(t *testing.T) {
	t.Parallel()
	for scope, pattern := range map[RouteScope]string{
		"path:a": "POST /a", "path:b": "POST /{a}", "path:": "POST /{a}", "path:a,": "POST /{a}", "path:$": "POST /x/{$}",
		"path:a,b": "POST /{a}", "paths:a": "POST /{a}", "path:{a}": "POST /{a}",
	} {
		if _, err := compile(pattern, Policy{RouteScope: scope}, nil); err == nil || !strings.Contains(err.Error(), "scope: route: ") {
			t.Errorf("%s on %s: got error %v, want one about the route's scope", scope, pattern, err)
		}
	}
}

// TestEscapedPath compares with net/url, for each byte and for paths that are escaped in a way of their own.
func TestEscapedPath(t *testing.T) {
	t.Parallel()
	urls := []*url.URL{{}, {Path: "*"}, {Path: "/a/b", RawPath: "/a%2fb"}, {Path: "/a b", RawPath: "/a b"}}
	for c := range 256 {
		urls = append(urls, &url.URL{Path: "/a" + string([]byte{byte(c)}) + "b"})
	}
	for _, u := range urls {
		if got, want := escapedPath(u), u.EscapedPath(); got != want {
			t.Errorf("%q: got %q, want %q", u.Path, got, want)
		}
	}
}
