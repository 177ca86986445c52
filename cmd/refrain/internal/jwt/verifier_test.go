package jwt

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestEveryAlgorithm(t *testing.T) {
	t.Parallel()
	for _, algorithm := range supportedAlgorithms {
		s := newSigner(t, "k", string(algorithm))
		cfg := trust(keyFile(t, s))
		if v := open(t, cfg); slices.Contains(defaultAlgorithms, s.Algorithm) {
			wantPrincipal(t, v, s.token(t, nil))
		} else {
			wantRefused(t, v, s.token(t, nil), ErrAlgorithm)
		}
		cfg.Issuers[0].Algorithms = []string{s.Algorithm}
		wantPrincipal(t, open(t, cfg), s.token(t, nil))
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s, other := newSigner(t, "k", "EdDSA"), newSigner(t, "k", "EdDSA")
	ecdsa := newSigner(t, "e", "ES256")
	v := open(t, trust(keyFile(t, s, ecdsa)))
	good := s.token(t, nil)
	wantPrincipal(t, v, good)
	head, tail, _ := strings.Cut(good, ".")
	body, signature, _ := strings.Cut(tail, ".")
	confused := signer{jose.JSONWebKey{Key: published(t, s), KeyID: "k", Algorithm: "HS256"}}
	unknown, mislabelled := s, newSigner(t, "k", "ES256")
	unknown.KeyID = "unknown"
	now := time.Now()
	for _, c := range []struct {
		what  string
		token string
		want  error
	}{
		{"expired", s.token(t, claims{"exp": now.Add(-time.Minute).Unix()}), ErrExpired},
		{"never expires", s.token(t, claims{"exp": nil}), ErrExpired},
		{"expiry is null", s.sign(t, []byte(`{"iss":"`+issuerName+`","aud":"`+audience+`","sub":"a","exp":null}`), nil), ErrExpired},
		{"not yet valid", s.token(t, claims{"nbf": now.Add(time.Minute).Unix()}), ErrNotYetValid},
		{"issued tomorrow", s.token(t, claims{"iat": now.Add(time.Hour).Unix()}), ErrNotYetValid},
		{"date is text", s.token(t, claims{"exp": "tomorrow"}), ErrMalformed},
		{"date overflows", s.token(t, claims{"exp": 1e300}), ErrMalformed},

		{"wrong issuer", s.token(t, claims{"iss": "https://evil.example"}), ErrIssuer},
		{"issuer with a slash", s.token(t, claims{"iss": issuerName + "/"}), ErrIssuer},
		{"no issuer", s.token(t, claims{"iss": nil}), ErrIssuer},
		{"two issuers", s.token(t, claims{"iss": []string{issuerName}}), ErrMalformed},
		{"wrong audience", s.token(t, claims{"aud": "https://other.example"}), ErrAudience},
		{"wrong audiences", s.token(t, claims{"aud": []string{"a", audience + "/"}}), ErrAudience},
		{"no audience", s.token(t, claims{"aud": nil}), ErrAudience},
		{"audience is a number", s.token(t, claims{"aud": 7}), ErrMalformed},

		{"alg none", encode(`{"alg":"none"}`) + "." + body + ".", ErrAlgorithm},
		{"alg NONE", encode(`{"alg":"NONE"}`) + "." + body + ".", ErrAlgorithm},
		{"alg none, signed", encode(`{"alg":"none","kid":"k"}`) + "." + body + "." + signature, ErrAlgorithm},
		{"no alg", encode(`{"kid":"k"}`) + "." + body + "." + signature, ErrAlgorithm},
		{"alg HS256 by the public key", confused.token(t, nil), ErrAlgorithm},
		{"alg not configured", newSigner(t, "k", "ES384").token(t, nil), ErrAlgorithm},
		{"alg is not the key's", mislabelled.token(t, nil), ErrUnknownKey},
		{"unknown kid", unknown.token(t, nil), ErrUnknownKey},

		{"another's signature", other.token(t, nil), ErrSignature},
		{"no signature", head + "." + body + ".", ErrSignature},
		{"signature of another token", head + "." + encode(string(valid(claims{"sub": "bob"}).json(t))) + "." + signature, ErrSignature},
		{"signed by the key in its header", other.sign(t, valid(nil).json(t), map[jose.HeaderKey]any{"jwk": other.Public()}), ErrSignature},

		{"crit", s.sign(t, valid(nil).json(t), map[jose.HeaderKey]any{"crit": []string{"exp"}}), ErrMalformed},
		{"b64", s.sign(t, valid(nil).json(t), map[jose.HeaderKey]any{"b64": true}), ErrMalformed},
		{"duplicate claim", s.sign(t, []byte(`{"iss":"`+issuerName+`","sub":"a","sub":"b"}`), nil), ErrMalformed},
		{"not UTF-8", s.sign(t, []byte("{\"sub\":\"\xff\"}"), nil), ErrMalformed},
		{"claims are a list", s.sign(t, []byte(`[]`), nil), ErrMalformed},
		{"claims are null", s.sign(t, []byte(`null`), nil), ErrIssuer},
		{"no claims", head + ".." + signature, ErrMalformed},
		{"four parts", good + ".", ErrMalformed},
		{"two parts", head + "." + body, ErrMalformed},
		{"opaque", "sk_live_1234", ErrMalformed},
		{"nothing", "", ErrMalformed},
		{"two tokens", good + ", Bearer " + good, ErrMalformed},
		{"padded", good + "=", ErrMalformed},
		{"line break", good[:9] + "\n" + good[9:], ErrMalformed},
		{"JSON form", `{"payload":"` + body + `","protected":"` + head + `","signature":"` + signature + `"}`, ErrMalformed},
		{"too large", s.token(t, claims{"x": strings.Repeat("x", maxToken)}), ErrTooLarge},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			wantRefused(t, v, c.token, c.want)
		})
	}
}

func TestLeeway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSigner(t, "k", "EdDSA")
		cfg := trust(keyFile(t, s))
		cfg.Leeway = time.Minute
		v := open(t, cfg)
		at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
		wantPrincipal(t, v, s.token(t, claims{"exp": at(-59 * time.Second)}))
		wantRefused(t, v, s.token(t, claims{"exp": at(-61 * time.Second)}), ErrExpired)
		wantPrincipal(t, v, s.token(t, claims{"nbf": at(59 * time.Second)}))
		wantRefused(t, v, s.token(t, claims{"nbf": at(61 * time.Second)}), ErrNotYetValid)
	})
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k", "EdDSA")
	path, token := keyFile(t, s), s.token(t, nil)
	for _, c := range []struct {
		header string
		lines  []string
		named  bool
		want   error
	}{
		{"", []string{"Bearer " + token}, true, nil},
		{"", []string{"bearer  " + token}, true, nil},
		{"", []string{"BEARER " + token}, true, nil},
		{"", nil, false, nil},
		{"", []string{""}, false, nil},
		{"", []string{"Basic YWxpY2U6c2VzYW1l"}, false, nil},
		{"", []string{token}, false, nil}, // a scheme of its own, and no token
		{"", []string{"Bearer"}, false, ErrMalformed},
		{"", []string{"Bearer "}, false, ErrMalformed},
		{"", []string{"Bearer " + token, "Bearer " + token}, false, ErrDuplicate},
		{"", []string{"Basic YWxpY2U6c2VzYW1l", "Bearer " + token}, false, ErrDuplicate},
		{"x-token", []string{token}, true, nil},
		{"X-Token", []string{"Bearer " + token}, true, nil},
		{"X-Token", []string{"Basic " + token}, false, ErrMalformed},
		{"X-Token", []string{token + " " + token}, false, ErrMalformed},
		{"X-Token", []string{token, token}, false, ErrDuplicate},
		{"X-Token", nil, false, nil},
	} {
		cfg := trust(path)
		cfg.Header = c.header
		r := bearing(t)
		for _, line := range c.lines {
			r.Header.Add(cfg.header(), line)
		}
		who, err := open(t, cfg).Principal(r, "sub")
		if (who != "") != c.named || err != c.want {
			t.Errorf("%s %.40q: got %q, %v, want %v", c.header, c.lines, who, err, c.want)
		}
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k", "EdDSA")
	v := open(t, trust(keyFile(t, s)))
	for text, named := range map[string]bool{
		`"alice"`:                 true,
		`"é \u00e9"`:              true,
		`"\ud83d\ude00"`:          true,
		`7`:                       true,
		`-7`:                      true,
		`12345678901234567890123`: true,
		`""`:                      false,
		`null`:                    false,
		`true`:                    false,
		`["alice"]`:               false,
		`{"a":"b"}`:               false,
		`"\ud800"`:                false, // another lone surrogate would be the same
		`"\ufffd"`:                false,
		`"` + strings.Repeat("a", maxValue-2) + `"`: true,
		`"` + strings.Repeat("a", maxValue-1) + `"`: false,
	} {
		who, err := ask(t, v, s.token(t, claims{"claim": json.RawMessage(text)}), "claim")
		if (who != "") != named || (err == ErrClaim) == named {
			t.Errorf("%.40s: got %.40q, %v", text, who, err)
		}
	}
	for _, absent := range []string{"claim", "", "Sub", "SUB"} {
		if who, err := ask(t, v, s.token(t, nil), absent); who != "" || err != ErrClaim {
			t.Errorf("%q: got %q, %v", absent, who, err)
		}
	}
}

// TestATokenRefreshIsTheSamePrincipal: a token refresh between attempts still gives the same principal.
func TestATokenRefreshIsTheSamePrincipal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, next := newSigner(t, "first", "EdDSA"), newSigner(t, "second", "ES256")
		v := open(t, trust(keyFile(t, s, next)))
		first := wantPrincipal(t, v, s.token(t, claims{"jti": "1"}))
		time.Sleep(time.Hour)
		refreshed := claims{"jti": "2", "aud": []string{"https://more.example", audience}, "scope": "more"}
		for _, by := range []signer{s, next} {
			if again := wantPrincipal(t, v, by.token(t, refreshed)); again != first {
				t.Errorf("got %q after the refresh, want %q", again, first)
			}
		}
		if bob := wantPrincipal(t, v, s.token(t, claims{"sub": "bob"})); bob == first {
			t.Error("two subjects are one principal")
		}
	})
}

func TestNoKeyVouchesForAnotherIssuer(t *testing.T) {
	t.Parallel()
	one, two := newSigner(t, "k", "EdDSA"), newSigner(t, "k", "EdDSA")
	cfg := trust(keyFile(t, one))
	cfg.Issuers = append(cfg.Issuers, Issuer{Name: "two", Keys: keyFile(t, two), Audiences: []string{"b"}})
	v := open(t, cfg)
	first := wantPrincipal(t, v, one.token(t, nil))
	if second := wantPrincipal(t, v, two.token(t, claims{"iss": "two", "aud": "b"})); second == first {
		t.Error("the same subject of two issuers is one principal")
	}
	wantRefused(t, v, two.token(t, nil), ErrSignature)
	wantRefused(t, v, one.token(t, claims{"iss": "two", "aud": "b"}), ErrSignature)
	wantRefused(t, v, one.token(t, claims{"aud": "b"}), ErrAudience)
}

func TestAWaivedAudience(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k", "EdDSA")
	cfg := trust(keyFile(t, s))
	cfg.Issuers[0].Audiences, cfg.Issuers[0].AnyAudience = nil, "this issuer has no other API"
	v := open(t, cfg)
	wantPrincipal(t, v, s.token(t, claims{"aud": "whatever"}))
	wantPrincipal(t, v, s.token(t, claims{"aud": nil}))
}

// Pieces that could be taken for a delimiter, a length, a type, or another part.
var tricks = []string{"", "a", "b", ":", "/", "|", ",", `"`, "\\", "\x00", "\x01", "\x01a", "sub", "\x03sub", "string", "number", "7", "é", "e\u0301"}

func trick(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(3) {
		b.WriteString(tricks[r.IntN(len(tricks))])
	}
	return b.String()
}

// TestPrincipalsNeverMeet: two tokens are of one principal exactly if issuer, claim and value are equal.
func TestPrincipalsNeverMeet(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newSigner(t, "k", "EdDSA")
	cfg := trust(keyFile(t, s))
	for range 30 {
		name := trick(random)
		if name == "" || slices.ContainsFunc(cfg.Issuers, func(i Issuer) bool { return i.Name == name }) {
			continue
		}
		cfg.Issuers = append(cfg.Issuers, Issuer{Name: name, Keys: cfg.Issuers[0].Keys, Audiences: []string{audience}})
	}
	v := open(t, cfg)
	type name struct{ issuer, claim, value string }
	seen, back := map[string]name{}, map[name]string{}
	for range 3000 {
		n := name{cfg.Issuers[random.IntN(len(cfg.Issuers))].Name, "c" + trick(random), ""}
		var said any = trick(random)
		if random.IntN(3) == 0 {
			said = random.IntN(10)
		}
		if said == "" {
			continue
		}
		n.value = fmt.Sprintf("%T %v", said, said)
		who, err := ask(t, v, s.token(t, claims{"iss": n.issuer, n.claim: said}), n.claim)
		if err != nil {
			t.Fatalf("%q: %v", n, err)
		}
		if before, ok := seen[who]; ok && before != n {
			t.Fatalf("%q and %q are one principal", before, n)
		}
		if before, ok := back[n]; ok && before != who {
			t.Fatalf("%q is two principals", n)
		}
		seen[who], back[n] = n, who
	}
}

func TestNoCharacterOfATokenCanBeChanged(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k", "EdDSA")
	v := open(t, trust(keyFile(t, s)))
	good := s.token(t, nil)
	wantPrincipal(t, v, good)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range good {
		at := strings.IndexByte(alphabet, good[i])
		// The neighbour differs in the lowest bit, which decoders ignore at the end of a part.
		for _, c := range []string{alphabet[max(at, 0)^1:][:1], "=", ".", "\n", ""} {
			if bad := good[:i] + c + good[i+1:]; bad != good {
				if who, err := ask(t, v, bad, "sub"); who != "" || err == nil {
					t.Fatalf("accepted with %q at %d of %d", c, i, len(good))
				}
			}
		}
	}
}
