package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/webhook"
)

// A delivery is a request that a sender signed, with all that it takes to verify it.
type delivery struct {
	name    string
	scheme  webhook.Scheme
	secret  string
	config  webhook.Config
	at      time.Time // of the signature; zero if the scheme has no timestamp
	url     string
	header  map[string]string
	body    string
	signed  string // the name of the header with the signature
	another string // a secret of the same form that did not sign it
}

func (d *delivery) request() *http.Request {
	target := d.url
	if target == "" {
		target = "/hook"
	}
	r := httptest.NewRequest(http.MethodPost, target, nil)
	for name, value := range d.header {
		r.Header.Set(name, value)
	}
	return r
}

// verifier accepts d at the time of its signature plus late.
func (d *delivery) verifier(t testing.TB, late time.Duration, secrets ...string) *webhook.Verifier {
	t.Helper()
	if len(secrets) == 0 {
		secrets = []string{d.secret}
	}
	c := d.config
	c.Now = func() time.Time { return d.at.Add(late) }
	v, err := webhook.New(d.scheme, secretsOf(t, secrets...), c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func secretsOf(t testing.TB, texts ...string) []webhook.Secret {
	t.Helper()
	secrets := make([]webhook.Secret, len(texts))
	for i, text := range texts {
		s, err := webhook.NewSecret(text)
		if err != nil {
			t.Fatal(err)
		}
		secrets[i] = s
	}
	return secrets
}

// signature returns the signature of d as its header has it, without what stands around it.
func (d *delivery) signature() string {
	s := d.header[d.signed]
	if i := strings.LastIndexAny(strings.TrimRight(s, "="), "=,"); i >= 0 {
		return s[i+1:]
	}
	return s
}

func sum(newHash func() hash.Hash, key, message string) []byte {
	h := hmac.New(newHash, []byte(key))
	h.Write([]byte(message))
	return h.Sum(nil)
}

func hexSHA256(key, message string) string { return hex.EncodeToString(sum(sha256.New, key, message)) }

func base64SHA256(key, message string) string {
	return base64.StdEncoding.EncodeToString(sum(sha256.New, key, message))
}

// secretFree fails the test if text tells the secret or a signature that would be accepted.
func secretFree(t *testing.T, d *delivery, text string) {
	t.Helper()
	hidden := []string{d.secret, d.signature()}
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(d.secret, "whsec_")); err == nil && len(raw) > 0 {
		hidden = append(hidden, string(raw), hex.EncodeToString(raw))
	}
	for _, h := range hidden {
		if strings.Contains(text, h) {
			t.Errorf("%s: %q tells a secret", d.name, text)
		}
	}
}
