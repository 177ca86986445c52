// Package jwttest is an issuer of tokens for tests, with its key set on a loopback address. It signs by hand, so that it can
// also sign what no library would.
package jwttest

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// Audience is who the tokens are meant for.
const Audience = "https://api.example"

// An Issuer signs tokens with the newest of its keys, and publishes no other.
type Issuer struct {
	Name string
	URL  string // of its key set

	generation int
	key        ed25519.PrivateKey
	set        atomic.Pointer[[]byte]
	reads      atomic.Int64
}

// Claims are those of a token.
type Claims map[string]any

// New starts an issuer, which ends with the test.
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{Name: "https://issuer.example"}
	i.Rotate(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.reads.Add(1)
		_, _ = w.Write(i.KeySet())
	}))
	t.Cleanup(server.Close)
	i.URL = server.URL + "/jwks.json"
	return i
}

// Rotate puts a new key in the place of the old one.
func (i *Issuer) Rotate(t testing.TB) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.generation++
	i.key = key
	const form = `{"keys":[{"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","kid":%q,"x":%q}]}`
	set := []byte(fmt.Sprintf(form, i.kid(), encode(public)))
	i.set.Store(&set)
}

func (i *Issuer) kid() string { return strconv.Itoa(i.generation) }

// KeySet returns the published keys.
func (i *Issuer) KeySet() []byte { return *i.set.Load() }

// Reads returns how often the keys were read.
func (i *Issuer) Reads() int64 { return i.reads.Load() }

// Section returns the section of the file that trusts the issuer.
func (i *Issuer) Section() string {
	return fmt.Sprintf("jwt:\n  issuers:\n    - name: %s\n      keys: %s\n      audiences: [%s]\n", i.Name, i.URL, Audience)
}

// Token returns a token for ten minutes, with the changes.
func (i *Issuer) Token(changes Claims) string {
	text := i.signed(map[string]any{"alg": "EdDSA", "kid": i.kid()}, changes)
	return text + "." + encode(ed25519.Sign(i.key, []byte(text)))
}

// Unsigned returns a token that says itself that it is not signed.
func (i *Issuer) Unsigned(changes Claims) string {
	return i.signed(map[string]any{"alg": "none"}, changes) + "."
}

// Confused returns a token that is signed by the public key as if that were a shared secret.
func (i *Issuer) Confused(changes Claims) string {
	text := i.signed(map[string]any{"alg": "HS256", "kid": i.kid()}, changes)
	mac := hmac.New(sha256.New, i.key.Public().(ed25519.PublicKey))
	_, _ = mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

// signed returns what a signature is over.
func (i *Issuer) signed(header map[string]any, changes Claims) string {
	now := time.Now()
	all := Claims{
		"iss": i.Name, "aud": Audience, "sub": "alice", "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
	maps.Copy(all, changes)
	return encode(mustJSON(header)) + "." + encode(mustJSON(all))
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // cannot be: they are texts and numbers
	}
	return b
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
