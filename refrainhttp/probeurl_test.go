package refrainhttp

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// asked are URLs with every place that a variable may stand in, and what each is made of.
var asked = []string{
	"http://payments.internal/charges?key=${key}",
	"http://payments.internal:8080/charges/${key}",
	"https://payments.internal/a/x-${key}.json/b?k=${key}&fixed=1&${key}=2",
	"http://[::1]:80/${key}/${path:id}",
	"http://payments.internal/.${key}",
	"http://payments.internal/a/${key}${path:id}/c?q=a${key}b",
	"http://payments.internal/%41/${key}?q=%20${path:id}",
}

// values are those of a test's variables.
type values map[string]string

func (v values) value(name string, _ *pointer) string { return v[name] }

// checkProbeURL sees to it that the values have changed nothing of the URL but their own places, for servers that take a path
// apart before they decode it, after, and after they decoded it twice.
func checkProbeURL(t *testing.T, text string, v values) {
	t.Helper()
	u, err := newProbeURL(text, "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := u.expand(v)
	if err != nil {
		return // not asked about
	}
	expand := func(in string) string {
		return strings.NewReplacer("${key}", v["key"], "${path:id}", v["path:id"]).Replace(in)
	}
	rest := text[strings.Index(text, "://")+3:]
	host, target, _ := strings.Cut(rest, "/")
	wantPath, wantQuery, _ := strings.Cut("/"+target, "?")
	p, err := url.Parse(got)
	if err != nil || p.Host != host || p.User != nil || p.Fragment != "" || !strings.HasPrefix(text, p.Scheme+"://") {
		t.Fatalf("%s with %q: got %s and error %v, want the host %s", text, v, got, err, host)
	}
	checkSegments(t, got, p.EscapedPath(), wantPath, expand)
	query, err := url.ParseQuery(p.RawQuery)
	want := 0
	for pair := range strings.SplitSeq(wantQuery, "&") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			want++
			value, _ = url.QueryUnescape(value)
			if all := query[expand(name)]; !slices.Contains(all, expand(value)) {
				t.Fatalf("%s with %q: got %s, which has %q=%q", text, v, got, name, all)
			}
		}
	}
	n := 0
	for _, all := range query {
		n += len(all)
	}
	if err != nil || n != want || strings.ContainsAny(p.RawQuery, ";#") {
		t.Fatalf("%s with %q: got %s, which has %d parameters (error %v), want %d", text, v, got, n, err, want)
	}
}

func checkSegments(t *testing.T, got, raw, wanted string, expand func(string) string) {
	t.Helper()
	want := strings.Split(wanted, "/")
	for range 3 {
		segments := strings.Split(raw, "/")
		if len(segments) != len(want) || path.Clean(raw) != raw || strings.ContainsAny(raw, "\\\x00\r\n") {
			t.Fatalf("got %s, of which a server makes the path %q", got, raw)
		}
		plain, err := url.PathUnescape(raw)
		if err != nil {
			break // nobody can decode it once more
		}
		raw = plain
	}
	for i, s := range strings.Split(strings.TrimPrefix(got[strings.Index(got, "://")+3:], "/"), "/")[1:] {
		s, _, _ = strings.Cut(s, "?")
		plain, _ := url.PathUnescape(s)
		template, _ := url.PathUnescape(want[i+1])
		if plain != expand(template) {
			t.Fatalf("got %s, whose segment %d is %q, want %q", got, i, plain, expand(template))
		}
	}
}

// tricks are what changes the meaning of a URL where it is not escaped.
var tricks = []string{
	"/", "\\", ".", "..", "%", "%2e", "%2F", "%252e", "?", "&", "=", "#", "@", ":", ";", "+", " ", "\r\n", "\x00", "\t", "ü", "\xff",
	"//evil.example", "${key}", "{", "}", "a", "7", "[", "]", "http://", "key", "../../admin",
}

// TestNoValueLeavesItsPlaceInAProbe puts values together from tricks.
func TestNoValueLeavesItsPlaceInAProbe(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	compose := func() string {
		var b strings.Builder
		for range 1 + random.IntN(4) {
			b.WriteString(tricks[random.IntN(len(tricks))])
		}
		return b.String()
	}
	for range 20_000 {
		checkProbeURL(t, asked[random.IntN(len(asked))], values{"key": compose(), "path:id": compose()})
	}
}

func FuzzProbeURL(f *testing.F) {
	for i, trick := range tricks {
		f.Add(uint8(i), trick, "7")
	}
	f.Fuzz(func(t *testing.T, which uint8, key, id string) {
		checkProbeURL(t, asked[int(which)%len(asked)], values{"key": key, "path:id": id})
	})
}

// TestProbesAskAboutCommonKeys: being careful must not mean that nothing is asked.
func TestProbesAskAboutCommonKeys(t *testing.T) {
	t.Parallel()
	u, err := newProbeURL("/v1/charges/${key}?key=${key}", "http://api.internal/base/")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"8e03978e-40d5-43e8-bc93-6894a57f9324": "8e03978e-40d5-43e8-bc93-6894a57f9324",
		"order:42_a.b~c":                       "order%3A42_a.b~c",
		"a b+c":                                "a%20b%2Bc",
		"...":                                  "...",
	} {
		got, err := u.expand(values{"key": key})
		if full := "http://api.internal/base/v1/charges/" + want + "?key=" + want; err != nil || got != full {
			t.Errorf("%q: got %s and error %v, want %s", key, got, err, full)
		}
	}
	for _, key := range []string{"", ".", "..", "a/b", `a\b`, "a%2fb", "a\x00", "%2e%2e"} {
		if got, err := u.expand(values{"key": key}); err == nil {
			t.Errorf("%q: got %s, want it not asked about", key, got)
		}
	}
}

// TestProbeURLsThatMeanTwoThings are refused.
func TestProbeURLsThatMeanTwoThings(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "/relative", "//host/x", "ftp://host/x", "http://", "http:///x", "http://h${key}/x", "http://${key}", "http://h?x", "http://h",
		"http://u:p@h/x", "http://h/a b", "http://h/x#f", "http://h/%zz", "http://h/a/../b", "http://h/./b", "http://h//b", "http://h/%2e%2E/b",
		"http://h/x?a=\n", "http://h:port/x", "http://h/${unknown}", "http://h/${key", "HTTP://h/x", "http://h\\@evil/x",
	} {
		if _, err := newProbeURL(text, ""); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
}

// A prober that has no room says so: the operation was not asked about.
func TestProberWithoutRoom(t *testing.T) {
	t.Parallel()
	p := prober{slots: make(chan struct{})}
	ask := p.about(&inquiry{}, httptest.NewRequest(http.MethodPost, "/", nil), refrain.Operation{Key: "k"})
	if f, err := ask(t.Context(), refrain.Record{}); f.Answer != refrain.CannotTell || !errors.Is(err, refrain.ErrNotAsked) {
		t.Errorf("got %v, %v, want %v", f.Answer, err, refrain.ErrNotAsked)
	}
}
