package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
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
			// The text may hold a password.
			return "", errors.New("is not the URL that the sender calls; write one such as https://hooks.example.com/in")
		}
		return text, nil
	}
	return scalar(parse, strings.Clone)
}

// verifyWith returns the scheme that signatures follow: the one given, or that of the dialect's sender.
func (p *Policy) verifyWith() webhook.Scheme {
	sender := p.known.sender(p.Dialect)
	switch {
	case p.Verify.Scheme != "":
		return p.Verify.Scheme
	case sender == "stripe-events":
		return webhook.Stripe
	case sender == "cloudevents": // which define none
		return ""
	}
	return webhook.Scheme(sender)
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
	secrets, err := p.readSecrets()
	if err != nil {
		return contradict("verify.secrets", "%s", err)
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

// readSecrets reads what the references point to. For who only describes the policy, one that is not there is another that
// nobody signs with.
func (p *Policy) readSecrets() (secrets []webhook.Secret, err error) {
	p.unset = nil
	for _, reference := range p.Verify.Secrets {
		s, err := webhook.ParseSecret(reference)
		if err != nil && p.described {
			p.unset = append(p.unset, reference)
			s, err = webhook.NewSecret("whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text()))) // which every scheme takes
		}
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, s)
	}
	return secrets, nil
}
