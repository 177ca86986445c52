package refrainhttp

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzFoldPath: what is taken for folded is, and a folded path is one that a mux does not redirect.
func FuzzFoldPath(f *testing.F) {
	for _, p := range []string{"/", "/a/b", "/A/b.php/", "/a/%2e%2e/b", "/%25252e/x", "//a", "/a;b=c/%00", "/index.php/a", "/a/.", "/a/..."} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		folded := foldPath(p)
		if isPlainPath(p) && strings.HasPrefix(p, "/") && folded != p {
			t.Errorf("%q is plain, but folded to %q", p, folded)
		}
		r, err := http.NewRequest(http.MethodPost, "http://a/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Path = folded
		mux := http.NewServeMux()
		mux.Handle("/", matched{&plan{}})
		h, _ := mux.Handler(r)
		if _, ok := h.(matched); !ok {
			t.Errorf("%q is folded to %q, which the mux would redirect", p, folded)
		}
	})
}
