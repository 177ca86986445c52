package callers

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/jwttest"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A credential is what one source may find in a request: its value as a reader would tell it, and how it gets there. Those of
// one place exclude each other.
type credential struct {
	value string
	line  string // of Authorization; of an address, whether no proxy stands before it
	place string
	add   func(r *http.Request)
}

// A bag makes random credentials. What it makes is random, too, where it could be taken for a delimiter, a length or another
// part.
type bag struct {
	*rand.Rand
	t      *testing.T
	issuer *jwttest.Issuer
	signed map[string]string // tokens, by subject
}

var pieces = []string{
	"", "a", "b", "aa", ":", "|", "/", "\x00", "\x01", "\x01a", "\x02ab", "\x0dAuthorization", "jwt:sub", "mtls", "X-User", "sub", "alice",
	"cookie:s", "header:", "=", "\"", "\\", "é", "e\u0301", "%00", "127.0.0.1", "string", "trusted", "client-ip", "spiffe",
}

func (b *bag) text() string {
	var s strings.Builder
	for range 1 + b.IntN(3) {
		s.WriteString(pieces[b.IntN(len(pieces))])
	}
	return s.String()
}

// kinds are the sources of scope.principal and what they find.
var kinds = map[string]func(*bag) credential{
	"header:Authorization": func(b *bag) credential {
		v := "Basic u" + b.text()
		return credential{v, v, "Authorization", func(r *http.Request) { r.Header["Authorization"] = []string{v} }}
	},
	"header:X-Api-Key": func(b *bag) credential {
		lines := []string{"k" + b.text(), b.text()}[:1+b.IntN(2)]
		return credential{fmt.Sprintf("%q", lines), "", "", func(r *http.Request) { r.Header["X-Api-Key"] = lines }}
	},
	"jwt:sub": func(b *bag) credential {
		who := "s" + b.text()
		line := "Bearer " + b.token(who)
		return credential{who, line, "Authorization", func(r *http.Request) { r.Header["Authorization"] = []string{line} }}
	},
	"trusted:X-User": func(b *bag) credential {
		who := "u" + b.text()
		return credential{who, "", "", func(r *http.Request) { r.Header["X-User"] = []string{who} }}
	},
	"cookie:s": func(b *bag) credential {
		who := "c" + strings.Map(onlyInCookies, b.text())
		return credential{who, "", "", func(r *http.Request) { r.Header["Cookie"] = []string{"s=" + who} }}
	},
	"client-ip": func(b *bag) credential { // straight, or through the proxy
		ip := fmt.Sprintf("192.0.2.%d", b.IntN(3))
		if b.IntN(2) == 0 {
			return credential{ip, "", "", func(r *http.Request) { r.Header["X-Forwarded-For"] = []string{b.text() + ", " + ip} }}
		}
		return credential{ip, "straight", "", func(r *http.Request) { r.RemoteAddr = ip + ":1" }}
	},
	"mtls": func(b *bag) credential {
		cert, who := b.certificate()
		return credential{who, "", "", func(r *http.Request) {
			r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}
		}}
	},
}

// bounds are headers that a key may be bound to besides.
var bounds = []string{"X-Team", "X-Site"}

func (b *bag) bound(name string) credential {
	lines := []string{pieces[b.IntN(3)], b.text()}[:1+b.IntN(2)] // of two headers often the same
	return credential{fmt.Sprintf("%q", lines), "", "", func(r *http.Request) { r.Header[name] = lines }}
}

func onlyInCookies(c rune) rune {
	if c <= ' ' || c >= 0x7f || strings.ContainsRune(`";,\`, c) {
		return '_'
	}
	return c
}

// token returns a token, of a subject that had one before perhaps another one.
func (b *bag) token(subject string) string {
	if b.signed[subject] == "" || b.IntN(2) == 0 {
		b.signed[subject] = b.issuer.Token(jwttest.Claims{"sub": subject})
	}
	return b.signed[subject]
}

// certificate returns one that names its owner by a subject or by a SPIFFE ID.
func (b *bag) certificate() (*x509.Certificate, string) {
	if b.IntN(2) == 0 {
		u := &url.URL{Scheme: "spiffe", Host: "example.org", Path: "/" + url.PathEscape("w"+b.text())}
		return &x509.Certificate{URIs: []*url.URL{u}}, u.String()
	}
	name, issuer := "n"+b.text(), "i"+b.text()
	return &x509.Certificate{RawSubject: b.name(name), RawIssuer: b.name(issuer)}, fmt.Sprintf("%q %q", issuer, name)
}

func (b *bag) name(common string) []byte {
	der, err := asn1.Marshal(pkix.Name{CommonName: common}.ToRDNSequence())
	if err != nil {
		b.t.Fatal(err)
	}
	return der
}

// A person is a set of credentials, by the source that finds them.
type person map[string]credential

// person returns somebody with some credentials, at most one in each place.
func (b *bag) person() person {
	p, taken := person{}, map[string]bool{}
	for _, kind := range slices.Sorted(keys(kinds)) {
		if c := kinds[kind](b); b.IntN(2) == 0 && !taken[c.place] {
			p[kind], taken[c.place] = c, c.place != ""
		}
	}
	for _, name := range bounds {
		if b.IntN(2) == 0 {
			p[name] = b.bound(name)
		}
	}
	return p
}

func keys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// within tells who the person is to a proxy with these sources, and which of the headers it has that keys are bound to.
func (p person) within(sources, bound []string) string {
	who := p.as(sources)
	for _, name := range slices.Sorted(slices.Values(bound)) {
		who += fmt.Sprintf(", %s %q", name, p[name].value)
	}
	return who
}

// as tells who the person is to a proxy with these sources: the first that it has, or, if it has none, whatever else callers
// are told apart by.
func (p person) as(sources []string) string {
	line := p["jwt:sub"].line + p["header:Authorization"].line // it has one of them at most
	for _, s := range sources {
		c, ok := p[s]
		switch {
		case s == "header:Authorization" && line != "":
			return fmt.Sprintf("%s %q", s, line) // a token is a credential like any
		case s == "client-ip":
			return "client-ip " + cmp.Or(c.value, "the proxy's own")
		case ok && (s != "trusted:X-User" || p["client-ip"].line == ""): // else somebody else than the proxy says it
			return fmt.Sprintf("%s %q", s, c.value)
		}
	}
	return fmt.Sprintf("a stranger with %q %q %q %q", line, p["cookie:s"].value, p["header:X-Api-Key"].value, p["trusted:X-User"].value)
}

func (p person) request() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/accounts/7/charges", strings.NewReader("{}"))
	r.Header["Idempotency-Key"] = []string{"k"}
	r.RemoteAddr = "10.0.0.1:4711"
	for _, c := range p {
		c.add(r)
	}
	return r
}

// site serves the file's configuration and answers with the execution's name.
func site(t *testing.T, text string) http.Handler {
	t.Helper()
	cfg, err := config.Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	c, err := Open(t.Context(), cfg, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Retire(nil) })
	guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	mc := cfg.Middleware()
	mc.Sources = c.Sources()
	m, err := refrainhttp.New(guard, mc)
	if err != nil {
		t.Fatal(err)
	}
	return m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Idempotency-Attempt"))
	}))
}

// settings returns random sources in a random order, headers that keys are bound to, and a file that has them.
func (b *bag) settings(keyFile string) (sources, bound []string, text string) {
	all := slices.Sorted(keys(kinds))
	b.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	sources = all[:1+b.IntN(len(all))]
	if at := slices.Index(sources, "client-ip"); at >= 0 { // anywhere else the file is refused
		sources = append(slices.Delete(sources, at, at+1), "client-ip")
	}
	if h, j := slices.Index(sources, "header:Authorization"), slices.Index(sources, "jwt:sub"); h >= 0 && h < j {
		sources[h], sources[j] = sources[j], sources[h] // the other way round the file is refused
	}
	route := []string{"pattern", "path", "none", "path:account", "path:account,rest"}[b.IntN(5)]
	bound = slices.Clone(bounds)
	b.Shuffle(len(bound), func(i, j int) { bound[i], bound[j] = bound[j], bound[i] })
	bound = bound[:b.IntN(len(bound)+1)]
	return slices.Clone(sources), bound, fmt.Sprintf(`
trusted_proxies: [10.0.0.1]
tls: { certificate: c, key: k, client_ca: a }
jwt: { issuers: [{ name: %q, keys: %q, audiences: [%q] }] }
routes:
  - match: "POST /accounts/{account}/{rest...}"
    scope: { principal: [%s], route: %q, headers: [%s] }
    in_flight: { wait: 0s }
`, b.issuer.Name, keyFile, jwttest.Audience, strings.Join(sources, ", "), route, strings.Join(bound, ", "))
}

// Promise 7: whatever the settings of the scope, two principals that use the same key for the same request never meet: each has
// an operation of its own, and no answer of another's. One and the same gets its answer again.
func TestPromise7TwoPrincipalsNeverMeet(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	b := &bag{rand.New(rand.NewPCG(seed, 0)), t, jwttest.New(t), map[string]string{}}
	keyFile := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(keyFile, b.issuer.KeySet(), 0o600); err != nil {
		t.Fatal(err)
	}
	met := 0
	for range 60 {
		sources, bound, text := b.settings(keyFile)
		h := site(t, text)
		seen := map[string]string{}
		var people []person
		for range 60 {
			p := b.person()
			if len(people) > 0 && b.IntN(3) == 0 {
				p = people[b.IntN(len(people))]
			}
			people = append(people, p)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, p.request())
			who, got := p.within(sources, bound), w.Body.String()
			switch first, known := seen[who]; {
			case known && w.Header().Get("Idempotent-Replayed") == "true" && got == first:
				met++
			case known:
				t.Fatalf("%v: %s got %d %s, want the answer again\n%s", sources, who, w.Code, got, text)
			case w.Code == http.StatusUnprocessableEntity && strings.HasPrefix(who, "a stranger"):
			case w.Code != http.StatusOK || w.Header().Get("Idempotency-Status") != "executed":
				t.Fatalf("%v: %s got %d %s, want its own execution\n%s", sources, who, w.Code, got, text)
			default:
				for other, id := range seen {
					if operation(id) == operation(got) {
						t.Fatalf("%v: %s and %s have one operation, %s\n%s", sources, who, other, got, text)
					}
				}
				seen[who] = got
			}
		}
	}
	if met < 100 {
		t.Errorf("got %d replays: hardly anybody came twice", met)
	}
}

// operation returns the operation's name in that of an attempt.
func operation(attempt string) string {
	name, _, _ := strings.Cut(attempt, "-")
	return name
}
