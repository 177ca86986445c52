package webhooks

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/refrain-dev/refrain/webhook"
)

// TestWhereRefrainIsStricter holds what the senders' libraries accept and refrain refuses, on purpose. A sender does none of
// it; who is between the two might. If a new version of a library refuses one, too, the case is done with.
func TestWhereRefrainIsStricter(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	body := []byte("a=1&b=2")
	for _, test := range []struct {
		name   string
		scheme webhook.Scheme
		change func(r *http.Request)
	}{
		{"hex in upper case", webhook.GitHub, upper("X-Hub-Signature-256", "sha256=")},
		{"hex in upper case", webhook.Slack, upper("X-Slack-Signature", "v0=")},
		{"a second line that nobody checks", webhook.GitHub, func(r *http.Request) { r.Header.Add("X-Hub-Signature-256", "sha256=00") }},
		{"a second line that nobody checks", webhook.StandardWebhooks, func(r *http.Request) { r.Header.Add("Webhook-Id", "msg_2") }},
		{"SHA-1 in place of SHA-256", webhook.GitHub, func(r *http.Request) {
			r.Header.Del("X-Hub-Signature-256")
			r.Header.Set("X-Hub-Signature", "sha1="+hex.EncodeToString(mac(sha1.New, secret, string(body))))
		}},
		{"a timestamp that is written otherwise than it was signed", webhook.StandardWebhooks, func(r *http.Request) {
			r.Header.Set("Webhook-Timestamp", "+"+r.Header.Get("Webhook-Timestamp"))
		}},
		{"text after the signature", webhook.StandardWebhooks, func(r *http.Request) {
			r.Header.Set("Webhook-Signature", r.Header.Get("Webhook-Signature")+",v1,")
		}},
		{"an id with a full stop", webhook.StandardWebhooks, func(r *http.Request) {
			w, _ := standardwebhooks.NewWebhook(secret)
			signature, _ := w.Sign("msg.1", time.Now(), body)
			r.Header.Set("Webhook-Id", "msg.1")
			r.Header.Set("Webhook-Signature", signature)
		}},
		{"a timestamp in the future", webhook.Stripe, func(r *http.Request) {
			r.Header = signStripe(secret, time.Now().Add(time.Hour), body).Header
		}},
		{"two timestamps", webhook.Stripe, func(r *http.Request) {
			r.Header.Set("Stripe-Signature", "t=1,"+r.Header.Get("Stripe-Signature"))
		}},
		{"parameters that are not signed, the second of a name", webhook.Twilio, func(r *http.Request) {
			sum := mac(sha1.New, secret, publicURL+"/in?a=1a1b2")
			r.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(sum))
			body = []byte("a=1&b=2&b=3")
		}},
	} {
		p := peerOf(test.scheme)
		body = []byte("a=1&b=2")
		r := p.sign(secret, time.Now(), body)
		test.change(r)
		if err := p.verify(secret, r, body); err != nil {
			t.Errorf("%s, %s: the library refuses it, too: %v", test.scheme, test.name, err)
		}
		if err := verifier(t, p, secret).Verify(r, body); err == nil {
			t.Errorf("%s, %s: accepted", test.scheme, test.name)
		}
	}
}

func peerOf(scheme webhook.Scheme) peer {
	for _, p := range peers() {
		if p.scheme == scheme {
			return p
		}
	}
	panic(scheme)
}

func upper(header, prefix string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set(header, prefix+strings.ToUpper(strings.TrimPrefix(r.Header.Get(header), prefix)))
	}
}

// TestShopify has no library of Shopify's for Go to ask. The documentation says: the base64 of the HMAC-SHA256 of the raw body
// under the client secret.
func TestShopify(t *testing.T) {
	t.Parallel()
	r := post("/")
	r.Header.Set("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(mac(sha256.New, "hush", "{}")))
	if err := verifier(t, peer{scheme: webhook.Shopify}, "hush").Verify(r, []byte("{}")); err != nil {
		t.Error(err)
	}
}
