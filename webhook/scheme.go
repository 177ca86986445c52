package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// A Scheme is a sender's way to sign. Its text is what configuration files call it.
type Scheme string

const (
	// StandardWebhooks signs webhook-id, webhook-timestamp and the body, by HMAC-SHA256 (v1, secret whsec_…) or ed25519
	// (v1a, public key whpk_…). Source: the Standard Webhooks specification 1.0.0.
	StandardWebhooks Scheme = "standard-webhooks"

	// GitHub signs the body into X-Hub-Signature-256. The older X-Hub-Signature (SHA-1) is not looked at.
	// Source: docs.github.com, Validating webhook deliveries.
	GitHub Scheme = "github"

	// Shopify signs the body into X-Shopify-Hmac-Sha256, with the client secret of the app.
	// Source: shopify.dev, Verify webhook deliveries.
	Shopify Scheme = "shopify"

	// Slack signs X-Slack-Request-Timestamp and the body into X-Slack-Signature, version v0.
	// Source: docs.slack.dev, Verifying requests from Slack.
	Slack Scheme = "slack"

	// Twilio signs the URL that it called and the form, by HMAC-SHA1 into X-Twilio-Signature; of any other body the URL
	// carries the digest in bodySHA256. Behind a proxy it needs Config.PublicURL.
	// Source: twilio.com/docs, Webhooks security.
	Twilio Scheme = "twilio"

	// Stripe signs a timestamp and the body of an event into Stripe-Signature, scheme v1.
	// Source: docs.stripe.com, Receive Stripe events in your webhook endpoint.
	Stripe Scheme = "stripe"

	// PlainHMAC signs the body into one header, as Config.HMAC says. It is for senders that are not listed here.
	PlainHMAC Scheme = "hmac"
)

// Config is what a Verifier may be told besides its scheme and secrets. Its zero value is right for all schemes but PlainHMAC.
// A field that the scheme has no use for is an error of New.
type Config struct {
	// Tolerance is how far a signed timestamp may lie from Now, in either direction. If zero, 5 minutes.
	// For StandardWebhooks, Slack and Stripe.
	Tolerance time.Duration

	// Now is the clock that timestamps are held against. If nil, time.Now.
	Now func() time.Time

	// PublicURL is where Twilio reaches this service: a scheme, a host, and the path that a proxy in front takes off, as in
	// https://hooks.example.com/in. If empty, it is the request's Host, with https if the request came over TLS. Headers
	// such as X-Forwarded-Proto are not trusted.
	PublicURL string

	// HMAC describes the header of PlainHMAC.
	HMAC HMAC
}

const defaultTolerance = 5 * time.Minute

// A Verifier checks signatures of one scheme against one or more secrets. Its methods may be called concurrently.
type Verifier struct {
	scheme Scheme
	check  check // a closure, so that printing the Verifier prints no key
}

type check func(r *http.Request, body []byte) error

// New returns a Verifier that accepts what was signed with any of the secrets: while a secret is rotated, both are given.
func New(scheme Scheme, secrets []Secret, c Config) (*Verifier, error) {
	check, err := c.compile(scheme, secrets)
	if err != nil {
		return nil, fmt.Errorf("webhook scheme %q: %w", scheme, err)
	}
	return &Verifier{scheme: scheme, check: check}, nil
}

// Verify returns nil if r, whose body is given as it was received, carries a valid signature. It neither reads r.Body nor
// changes r. The error says what was wrong, for logs; it matches ErrMissing, ErrMalformed, ErrStale or ErrMismatch. All of
// them are refusals: a server answers 401 and does nothing else.
func (v *Verifier) Verify(r *http.Request, body []byte) error {
	if err := v.check(r, body); err != nil {
		return fmt.Errorf("%s webhook: %w", v.scheme, err)
	}
	return nil
}

func (c Config) compile(scheme Scheme, secrets []Secret) (check, error) {
	if err := c.validate(scheme); err != nil {
		return nil, err
	}
	raw, err := reveal(secrets)
	if err != nil {
		return nil, err
	}
	switch scheme {
	case StandardWebhooks:
		return standard(raw, c.clock())
	case GitHub:
		return HMAC{Header: "X-Hub-Signature-256", Prefix: "sha256="}.check(raw)
	case Shopify:
		return HMAC{Header: "X-Shopify-Hmac-Sha256", Encoding: Base64}.check(raw)
	case Slack:
		return slack(raw, c.clock()), nil
	case Twilio:
		return twilio(raw, c.PublicURL)
	case Stripe:
		return stripe(raw, c.clock()), nil
	case PlainHMAC:
		return c.HMAC.check(raw)
	default:
		return nil, errors.New("there is no such scheme; known are standard-webhooks, github, shopify, slack, twilio, stripe and hmac")
	}
}

func (c Config) validate(scheme Scheme) error {
	timed := scheme == StandardWebhooks || scheme == Slack || scheme == Stripe
	switch {
	case c.Tolerance < 0:
		return fmt.Errorf("the tolerance is %s; it cannot be negative", c.Tolerance)
	case c.Tolerance > 0 && !timed:
		return errors.New("it signs no timestamp, so a tolerance has no effect; leave it out")
	case c.PublicURL != "" && scheme != Twilio:
		return errors.New("it does not sign the URL, so a public URL has no effect; leave it out")
	case c.HMAC != HMAC{} && scheme != PlainHMAC:
		return errors.New("its header is fixed; describe a header for the scheme hmac only")
	}
	return nil
}

func (c Config) clock() clock {
	k := clock{now: c.Now, tolerance: c.Tolerance}
	if k.now == nil {
		k.now = time.Now
	}
	if k.tolerance == 0 {
		k.tolerance = defaultTolerance
	}
	return k
}
