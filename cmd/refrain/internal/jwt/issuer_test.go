package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	issuerName = "https://issuer.example"
	audience   = "https://api.example"
)

// A signer is an issuer's private key.
type signer struct{ jose.JSONWebKey }

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, minRSABits)
	if err != nil {
		panic(err)
	}
	return key
})

func newSigner(t testing.TB, kid, algorithm string) signer {
	t.Helper()
	var key any
	var err error
	switch algorithm[:2] {
	case "RS", "PS":
		key = rsaKey()
	case "ES":
		curves := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}
		key, err = ecdsa.GenerateKey(curves[algorithm], rand.Reader)
	default:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer{jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: algorithm}}
}

// sign returns a token with that payload, and with more in its header.
func (s signer) sign(t testing.TB, payload []byte, header map[jose.HeaderKey]any) string {
	t.Helper()
	key := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(s.Algorithm), Key: s.JSONWebKey}
	by, err := jose.NewSigner(key, &jose.SignerOptions{ExtraHeaders: header})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := by.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

type claims map[string]any

// valid returns the claims of a token that is in order, with changes: nil takes a claim away.
func valid(changes claims) claims {
	now := time.Now()
	all := claims{
		"iss": issuerName, "aud": audience, "sub": "alice", "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

func (c claims) json(t testing.TB) []byte {
	t.Helper()
	payload, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// token returns a token that is in order but for the changes.
func (s signer) token(t testing.TB, changes claims) string {
	t.Helper()
	return s.sign(t, valid(changes).json(t), nil)
}

// published returns the JWK Set of the signers' public keys.
func published(t testing.TB, signers ...signer) []byte {
	t.Helper()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, s := range signers {
		set.Keys = append(set.Keys, s.Public())
	}
	data, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// keyFile writes the signers' public keys into a file.
func keyFile(t testing.TB, signers ...signer) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jwks.json")
	write(t, path, published(t, signers...))
	return path
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

var silent = slog.New(slog.DiscardHandler)

// trust returns a configuration that trusts the issuer whose keys are there.
func trust(keys string) Config {
	return Config{Issuers: []Issuer{{Name: issuerName, Keys: keys, Audiences: []string{audience}}}}
}

func open(t testing.TB, cfg Config) *Verifier {
	t.Helper()
	v, err := Open(t.Context(), cfg, silent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// bearing returns a request with lines of Authorization.
func bearing(t testing.TB, lines ...string) *http.Request {
	t.Helper()
	r := (&http.Request{Header: http.Header{}}).WithContext(t.Context())
	if len(lines) > 0 {
		r.Header["Authorization"] = lines
	}
	return r
}

// ask returns what the verifier makes of a token.
func ask(t testing.TB, v *Verifier, token, claim string) (string, error) {
	t.Helper()
	return v.Principal(bearing(t, "Bearer "+token), claim)
}

// wantRefused checks that a token is refused for that very reason. The error is the sentinel itself, so it tells nothing more.
func wantRefused(t testing.TB, v *Verifier, token string, want error) {
	t.Helper()
	if who, err := ask(t, v, token, "sub"); who != "" || err != want {
		t.Errorf("got %q, %v, want %v", who, err, want)
	}
}

// wantPrincipal checks that a token is accepted, and returns its principal.
func wantPrincipal(t testing.TB, v *Verifier, token string) string {
	t.Helper()
	who, err := ask(t, v, token, "sub")
	if who == "" || err != nil {
		t.Errorf("got %q, %v, want a principal", who, err)
	}
	return who
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
