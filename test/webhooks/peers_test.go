// Package webhooks holds what refrain says of a signature against what the sender's own library says.
package webhooks

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-github/v89/github"
	"github.com/slack-go/slack"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	stripe "github.com/stripe/stripe-go/v86/webhook"
	twilio "github.com/twilio/twilio-go/client"
	"pgregory.net/rapid"

	"github.com/refrain-dev/refrain/webhook"
)

const publicURL = "https://hooks.example.com"

// A peer is a sender's library for Go.
type peer struct {
	scheme webhook.Scheme
	secret *rapid.Generator[string]

	// sign makes a request as the sender does; with the library, where that can sign.
	sign func(secret string, at time.Time, body []byte) *http.Request

	// verify asks the library.
	verify func(secret string, r *http.Request, body []byte) error

	// stricter tells why refrain may refuse what the library accepts; stricter_test.go has an example for each.
	stricter func(r *http.Request) bool

	body *rapid.Generator[[]byte]
}

var (
	text   = rapid.StringMatching(`[ -~]{1,40}`)
	whsec  = rapid.Map(rapid.SliceOfN(rapid.Byte(), 24, 64), func(b []byte) string { return "whsec_" + base64.StdEncoding.EncodeToString(b) })
	opaque = rapid.SliceOfN(rapid.Byte(), 0, 60)
	form   = rapid.Map(rapid.MapOf(rapid.String(), rapid.String()), func(m map[string]string) []byte {
		values := url.Values{}
		for name, value := range m {
			values.Set(name, value)
		}
		return []byte(values.Encode())
	})
)

func peers() []peer {
	return []peer{
		{webhook.StandardWebhooks, whsec, signStandard, verifyStandard, standardIsStricter, opaque},
		{webhook.Stripe, text, signStripe, verifyStripe, stripeIsStricter, opaque},
		{webhook.GitHub, text, signGitHub, verifyGitHub, upperCase("X-Hub-Signature-256"), opaque},
		{webhook.Slack, text, signSlack, verifySlack, upperCase("X-Slack-Signature"), opaque},
		{webhook.Twilio, text, signTwilioForm, verifyTwilio, never, form},
		{webhook.Twilio, text, signTwilioJSON, verifyTwilio, never, opaque},
	}
}

func post(target string) *http.Request { return httptest.NewRequest(http.MethodPost, target, nil) }

func signStandard(secret string, at time.Time, body []byte) *http.Request {
	w, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		panic(err)
	}
	signature, err := w.Sign("msg_1", at, body)
	if err != nil {
		panic(err)
	}
	r := post("/")
	r.Header.Set("Webhook-Id", "msg_1")
	r.Header.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	r.Header.Set("Webhook-Signature", signature)
	return r
}

func verifyStandard(secret string, r *http.Request, body []byte) error {
	w, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	return w.Verify(body, r.Header)
}

// The library parses the timestamp and signs what it writes itself; it takes what follows a second comma for nothing.
func standardIsStricter(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Webhook-Id"), ".") || rewritten(r.Header.Get("Webhook-Timestamp")) ||
		strings.Count(r.Header.Get("Webhook-Signature"), ",") > 1
}

func rewritten(timestamp string) bool {
	return strings.HasPrefix(timestamp, "0") || strings.HasPrefix(timestamp, "+")
}

func signStripe(secret string, at time.Time, body []byte) *http.Request {
	r := post("/")
	signed := stripe.GenerateTestSignedPayload(&stripe.UnsignedPayload{Payload: body, Secret: secret, Timestamp: at})
	r.Header.Set("Stripe-Signature", signed.Header)
	return r
}

func verifyStripe(secret string, r *http.Request, body []byte) error {
	return stripe.ValidatePayload(body, r.Header.Get("Stripe-Signature"), secret)
}

// The library looks for old timestamps only, and believes the last of several.
func stripeIsStricter(r *http.Request) bool {
	line := r.Header.Get("Stripe-Signature")
	_, t, _ := strings.Cut(line, "t=")
	t, _, _ = strings.Cut(t, ",")
	n, _ := strconv.ParseInt(t, 10, 64)
	return strings.ToLower(line) != line || rewritten(t) || time.Unix(n, 0).After(time.Now())
}

func signGitHub(secret string, _ time.Time, body []byte) *http.Request {
	r := post("/")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac(sha256.New, secret, string(body))))
	return r
}

func verifyGitHub(secret string, r *http.Request, body []byte) error {
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, err := github.ValidatePayload(r, []byte(secret))
	return err
}

func signSlack(secret string, at time.Time, body []byte) *http.Request {
	r := post("/")
	r.Header.Set("X-Slack-Request-Timestamp", strconv.FormatInt(at.Unix(), 10))
	sum := mac(sha256.New, secret, fmt.Sprintf("v0:%d:%s", at.Unix(), body))
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(sum))
	return r
}

func verifySlack(secret string, r *http.Request, body []byte) error {
	v, err := slack.NewSecretsVerifier(r.Header, secret)
	if err != nil {
		return err
	}
	v.Write(body)
	return v.Ensure()
}

func signTwilioForm(secret string, _ time.Time, body []byte) *http.Request {
	return signTwilio(secret, "/in?a=1", "application/x-www-form-urlencoded", sortedForm(body))
}

func signTwilioJSON(secret string, _ time.Time, body []byte) *http.Request {
	return signTwilio(secret, fmt.Sprintf("/in?a=1&bodySHA256=%x", sha256.Sum256(body)), "application/json", "")
}

func signTwilio(secret, target, media, parameters string) *http.Request {
	r := post(target)
	r.Header.Set("Content-Type", media)
	r.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac(sha1.New, secret, publicURL+target+parameters)))
	return r
}

func verifyTwilio(secret string, r *http.Request, body []byte) error {
	v := twilio.NewRequestValidator(secret)
	if !v.ValidateBody(publicURL+r.RequestURI, body, r.Header.Get("X-Twilio-Signature")) {
		return errors.New("refused")
	}
	return nil
}

func mac(newHash func() hash.Hash, key, message string) []byte {
	h := hmac.New(newHash, []byte(key))
	h.Write([]byte(message))
	return h.Sum(nil)
}

func upperCase(header string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.ToLower(r.Header.Get(header)) != r.Header.Get(header) }
}

func never(*http.Request) bool { return false }
