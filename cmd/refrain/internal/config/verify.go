package config

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/refrain-dev/refrain/refrainhttp"
	"github.com/refrain-dev/refrain/webhook"
)

// A Verification is how requests are signed. Without a Scheme they are not.
type Verification struct {
	Scheme    webhook.Scheme
	Secrets   []Secret
	Tolerance time.Duration // zero is the scheme's own
	URL       string
	HMAC      webhook.HMAC // of the scheme hmac
}

// A Secret is where the file says that a secret is, and the place where it says so.
type Secret struct {
	Reference string // env:NAME or file:PATH

	path   string
	origin Origin
}

const verifyPrefix = "verify."

var schemes = []webhook.Scheme{
	webhook.StandardWebhooks, webhook.GitHub, webhook.Shopify, webhook.Slack, webhook.Twilio, webhook.Stripe, webhook.PlainHMAC,
}

// verifyFields are the settings about signatures.
func (p *Policy) verifyFields() []field {
	o, v := p.origins, &p.Verification
	return []field{
		bind(o, "verify.scheme", &v.Scheme, word(schemes)),
		bind(o, "verify.secrets", &v.Secrets, quiet(secrets())),
		bind(o, "verify.tolerance", &v.Tolerance, quiet(duration(time.Second, day))),
		bind(o, "verify.url", &v.URL, text()),
		bind(o, "verify.header", &v.HMAC.Header, header()),
		bind(o, "verify.hash", &v.HMAC.Hash, word([]webhook.Hash{webhook.SHA1, webhook.SHA256, webhook.SHA512})),
		bind(o, "verify.encoding", &v.HMAC.Encoding, word([]webhook.Encoding{webhook.Hex, webhook.Base64})),
		bind(o, "verify.prefix", &v.HMAC.Prefix, text()),
	}
}

// secrets is a kind of lists of references to secrets. What is none may be a secret, and is never repeated.
func secrets() kind[[]Secret] {
	parse := func(text string) (string, error) {
		if scheme, name, _ := strings.Cut(text, ":"); name == "" || scheme != "env" && scheme != "file" {
			return "", errors.New("a secret does not belong in this file; put it into a variable or a file and write env:NAME or file:/PATH")
		}
		return text, nil
	}
	reference := scalar(parse, strings.Clone)
	return list(kind[Secret]{
		read: func(v value) (Secret, bool) {
			text, ok := reference.read(v)
			return Secret{Reference: text, path: v.path, origin: v.origin}, ok
		},
		show: func(s Secret) string { return s.Reference },
	})
}

// checkVerify reports what is wrong with the verification apart from its secrets, which ReadSecrets reads.
func (p *Policy) checkVerify() []contradiction {
	v, given := &p.Verification, p.firstGiven(verifyPrefix)
	switch {
	case given == "":
		return nil
	case v.Scheme == "":
		return contradict(given, "needs verify.scheme too%s", p.suggestedScheme())
	case len(v.Secrets) == 0:
		return contradict("verify.scheme", "needs verify.secrets too, such as [env:NAME] or [file:/PATH]")
	case p.Mode == refrainhttp.Off:
		return contradict("verify.scheme", "has no effect: mode is off (%s)", p.origins["mode"])
	}
	for _, part := range []struct {
		fields []string
		config webhook.Config
	}{
		{[]string{"verify.header", "verify.hash", "verify.encoding", "verify.prefix"}, webhook.Config{HMAC: v.HMAC}},
		{[]string{"verify.tolerance"}, webhook.Config{HMAC: v.HMAC, Tolerance: v.Tolerance}},
		{[]string{"verify.url"}, webhook.Config{HMAC: v.HMAC, PublicURL: v.URL}},
	} {
		if err := v.try(standIn, part.config); err != nil {
			return contradict(p.firstOf(append(part.fields, "verify.scheme")), "%s: %s", v.Scheme, err)
		}
	}
	return nil
}

func (p *Policy) suggestedScheme() string {
	if scheme, ok := p.known.signed[p.Dialect]; ok {
		return fmt.Sprintf(": %s, for dialect %s", scheme, p.Dialect)
	}
	return ", such as github"
}

// firstOf returns the first of the fields that is given.
func (p *Policy) firstOf(fields []string) string {
	i := slices.IndexFunc(fields, func(f string) bool { _, ok := p.origins[f]; return ok })
	return fields[max(0, i)]
}

// standIn stands for the secrets while they are not read: it has the form that every scheme takes.
const standIn = "whsec_AAAA"

// try returns what is wrong with a part of the verification.
func (v *Verification) try(secret string, c webhook.Config) error {
	one, err := webhook.NewSecret(secret)
	if err == nil {
		_, err = webhook.New(v.Scheme, []webhook.Secret{one}, c)
	}
	return errors.Unwrap(err) // without the scheme, which the caller names
}

// compile reads the secrets and returns what verifies requests.
func (v *Verification) compile() (func(*http.Request, []byte) error, Problems) {
	c := webhook.Config{Tolerance: v.Tolerance, PublicURL: v.URL, HMAC: v.HMAC}
	var problems Problems
	all := make([]webhook.Secret, len(v.Secrets))
	for i, s := range v.Secrets {
		var err error
		if all[i], err = webhook.ParseSecret(s.Reference); err == nil {
			_, err = webhook.New(v.Scheme, all[i:i+1], c) // on its own, so that the error has a place
		}
		if err != nil {
			problems = append(problems, Problem{Origin: s.origin, Path: s.path, Text: err.Error()})
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	verifier, err := webhook.New(v.Scheme, all, c)
	if err != nil {
		return nil, Problems{{Origin: v.Secrets[0].origin, Path: v.Secrets[0].path, Text: err.Error()}}
	}
	return verifier.Verify, nil
}

// ReadSecrets reads the secrets that the file names, which makes the routes that verify signatures accept requests: until then
// they refuse all. The error is Problems, and holds no secret.
func (c *Config) ReadSecrets() error {
	var problems Problems
	for i := range c.Routes {
		p := &c.Routes[i].Policy
		if p.Verification.Scheme == "" {
			continue
		}
		verify, wrong := p.Verification.compile()
		p.Verify, problems = verify, append(problems, wrong...)
	}
	if len(problems) > 0 {
		return problems.sorted()
	}
	return nil
}

var errSecretsNotRead = errors.New("the secrets were not read")

// verifier returns what verifies the policy's requests, nil if nothing does.
func (p *Policy) verifier() func(*http.Request, []byte) error {
	if p.Verify == nil && p.Verification.Scheme != "" {
		return func(*http.Request, []byte) error { return errSecretsNotRead }
	}
	return p.Verify
}

// Warnings returns what is allowed and yet likely a mistake.
func (c *Config) Warnings() (all Problems) {
	for i := range c.Routes {
		r := &c.Routes[i]
		scheme, signs := r.Policy.known.signed[r.Policy.Dialect]
		if !signs || r.Policy.Verification.Scheme != "" || r.Policy.Mode == refrainhttp.Off {
			continue
		}
		all = append(all, Problem{Origin: r.Policy.origins["dialect"], Path: r.Match[0].Text, Text: fmt.Sprintf(
			"dialect %s without verify: whoever reaches this route can deliver events; add verify: {scheme: %s, secrets: [env:NAME]}",
			r.Policy.Dialect, scheme)})
	}
	return all
}
