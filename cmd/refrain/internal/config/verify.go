package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/refrain-dev/refrain/webhook"
)

// A Verify says how the sender of a webhook signs it. The zero Verify is for requests that nobody signs.
type Verify struct {
	Scheme    webhook.Scheme
	Secrets   []string // references: env:NAME or file:PATH
	Tolerance time.Duration
	URL       string
	HMAC      webhook.HMAC
}

func (p *Policy) verifyFields() []field {
	o, v := p.origins, &p.Verify
	return []field{
		bind(o, "verify.scheme", &v.Scheme, word([]webhook.Scheme{
			webhook.StandardWebhooks, webhook.GitHub, webhook.Shopify, webhook.Slack, webhook.Twilio, webhook.Stripe, webhook.PlainHMAC,
		})),
		bind(o, "verify.secrets", &v.Secrets, quiet(list(secret()))),
		bind(o, "verify.tolerance", &v.Tolerance, quiet(duration(time.Second, time.Hour))),
		bind(o, "verify.url", &v.URL, publicURL()),
		bind(o, "verify.header", &v.HMAC.Header, header()),
		bind(o, "verify.hash", &v.HMAC.Hash, word([]webhook.Hash{webhook.SHA1, webhook.SHA256, webhook.SHA512})),
		bind(o, "verify.encoding", &v.HMAC.Encoding, word([]webhook.Encoding{webhook.Hex, webhook.Base64})),
		bind(o, "verify.prefix", &v.HMAC.Prefix, text()),
	}
}

// secret is a kind of references to secrets. Whether a secret is there shows when all is read.
func secret() kind[string] {
	parse := func(text string) (string, error) {
		where, name, _ := strings.Cut(text, ":")
		if name == "" || where != "env" && where != "file" {
			// The text may be the secret itself, which no log should hold.
			return "", errors.New("is no reference to a secret; write env:NAME or file:PATH, never the secret itself")
		}
		return text, nil
	}
	return scalar(parse, strings.Clone)
}

func publicURL() kind[string] {
	parse := func(text string) (string, error) {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.User != nil {
			return "", fmt.Errorf("%q is not the URL that the sender calls; write one such as https://hooks.example.com/in", text)
		}
		return text, nil
	}
	return scalar(parse, strings.Clone)
}

// verifyWith returns the scheme that signatures follow: the one given, or that of the dialect's sender.
func (p *Policy) verifyWith() webhook.Scheme {
	switch {
	case p.Verify.Scheme != "":
		return p.Verify.Scheme
	case p.Dialect == "stripe-events":
		return webhook.Stripe
	case p.Dialect == "cloudevents": // which define none
		return ""
	case isSender(p.Dialect):
		return webhook.Scheme(p.Dialect)
	}
	return ""
}

// isSender reports whether a dialect is one of those who send webhooks.
func isSender(dialect string) bool {
	switch dialect {
	case "standard-webhooks", "github", "shopify", "slack", "twilio", "cloudevents", "stripe-events":
		return true
	}
	return false
}

// checkVerify reads the secrets and makes the verifier, if there is to be one.
func (p *Policy) checkVerify() []contradiction {
	v := &p.Verify
	p.verifier = nil
	if len(v.Secrets) == 0 {
		if p.givenBelow("verify.") {
			return contradict(p.firstGiven("verify."),
				"has no effect without verify.secrets, the references to what the sender signs with")
		}
		return nil
	}
	scheme := p.verifyWith()
	if scheme == "" {
		return contradict("verify.secrets", "needs verify.scheme: how the sender signs; the dialect, %s, does not say", p.Dialect)
	}
	secrets := make([]webhook.Secret, 0, len(v.Secrets))
	for _, reference := range v.Secrets {
		s, err := webhook.ParseSecret(reference)
		if err != nil {
			return contradict("verify.secrets", "%s", err)
		}
		secrets = append(secrets, s)
	}
	verifier, err := webhook.New(scheme, secrets, webhook.Config{Tolerance: v.Tolerance, PublicURL: v.URL, HMAC: v.HMAC})
	if err != nil {
		return contradict(p.blamed(err), "%s", err)
	}
	p.verifier = verifier
	return nil
}

// blamed returns the field below verify that the error is about, if it says so.
func (p *Policy) blamed(err error) string {
	for _, name := range []string{"tolerance", "url", "header", "hash", "encoding", "prefix"} {
		if field := "verify." + name; p.given(field) && strings.Contains(strings.ToLower(err.Error()), name) {
			return field
		}
	}
	return p.firstGiven("verify.")
}
