package webhooks

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/refrain-dev/refrain/webhook"
)

func verifier(t interface{ Fatal(args ...any) }, p peer, secret string) *webhook.Verifier {
	s, err := webhook.NewSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	c := webhook.Config{}
	if p.scheme == webhook.Twilio {
		c.PublicURL = publicURL
	}
	v, err := webhook.New(p.scheme, []webhook.Secret{s}, c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestSendersLibrariesAgree signs a request as its sender does, damages it in up to two places, and asks both. What the
// library refuses must be refused; what it accepts may be refused for the reasons that the peer names only.
func TestSendersLibrariesAgree(t *testing.T) {
	t.Parallel()
	for _, p := range peers() {
		accepted, refusals := 0, 0
		rapid.Check(t, func(t *rapid.T) {
			secret, body := p.secret.Draw(t, "secret"), p.body.Draw(t, "body")
			offset := rapid.SampledFrom([]time.Duration{0, 0, 0, -time.Minute, time.Minute, -time.Hour, time.Hour}).Draw(t, "offset")
			r := p.sign(secret, time.Now().Add(offset), body)
			for range rapid.IntRange(0, 2).Draw(t, "damages") {
				body = damage(t, r, body)
			}
			theirs, ours := p.verify(secret, r, body), verifier(t, p, secret).Verify(r, body)
			switch {
			case theirs != nil && ours == nil:
				t.Fatalf("%s: the library refuses, %v, and refrain does not: %v", p.scheme, theirs, r.Header)
			case theirs == nil && ours != nil && !p.stricter(r):
				t.Fatalf("%s: the library accepts, and refrain refuses: %v: %v", p.scheme, ours, r.Header)
			case ours == nil:
				accepted++
			default:
				refusals++
			}
		})
		if accepted == 0 || refusals == 0 {
			t.Errorf("%s: %d accepted and %d refused; both must occur", p.scheme, accepted, refusals)
		}
	}
}

// damage changes a byte of a header or of the body, takes it out, or puts one in.
func damage(t *rapid.T, r *http.Request, body []byte) []byte {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(r.Header)), func(name string) bool { return name == "Content-Type" })
	name := rapid.SampledFrom(append(names, "body")).Draw(t, "where")
	if name == "body" {
		return edit(t, body, rapid.Byte())
	}
	printable := rapid.SampledFrom([]byte(" +,-./019=AFVafnsv~"))
	r.Header.Set(name, string(edit(t, []byte(r.Header.Get(name)), printable)))
	return body
}

func edit(t *rapid.T, b []byte, bytes *rapid.Generator[byte]) []byte {
	i := rapid.IntRange(0, len(b)).Draw(t, "at")
	switch kind := rapid.SampledFrom([]string{"change", "remove", "insert", "cut", "case"}).Draw(t, "how"); {
	case kind == "cut":
		return slices.Clone(b[:i])
	case kind == "case":
		return []byte(strings.ToUpper(string(b)))
	case kind == "insert" || i == len(b):
		return slices.Insert(slices.Clone(b), i, bytes.Draw(t, "byte"))
	case kind == "remove":
		return slices.Delete(slices.Clone(b), i, i+1)
	default:
		b = slices.Clone(b)
		b[i] = bytes.Draw(t, "byte")
		return b
	}
}

// TestTolerancesAgree compares to the second. The libraries have no clock to set, so time itself is a fake.
func TestTolerancesAgree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, p := range peers()[:4] {
			secret, body := p.secret.Example(1), []byte("{}")
			for _, age := range []time.Duration{0, 299 * time.Second, 300 * time.Second, 301 * time.Second, -300 * time.Second, -301 * time.Second} {
				r := p.sign(secret, time.Now().Add(-age), body)
				theirs, ours := p.verify(secret, r, body), verifier(t, p, secret).Verify(r, body)
				if (theirs == nil) != (ours == nil) && !(theirs == nil && p.stricter(r)) {
					t.Errorf("%s, %s old: the library says %v, refrain %v", p.scheme, age, theirs, ours)
				}
			}
		}
	})
}

// TestRotationsAgree puts several signatures into a header, as a sender does while a secret is rotated.
func TestRotationsAgree(t *testing.T) {
	t.Parallel()
	for _, p := range peers()[:2] {
		secret, other, body := p.secret.Example(1), p.secret.Example(2), []byte("{}")
		name := map[webhook.Scheme]string{webhook.StandardWebhooks: "Webhook-Signature", webhook.Stripe: "Stripe-Signature"}[p.scheme]
		now := time.Now()
		a, b := p.sign(secret, now, body), p.sign(other, now, body)
		join, second := " ", b.Header.Get(name)
		if p.scheme == webhook.Stripe {
			_, v1, _ := strings.Cut(second, ",v1=")
			join, second = ",", "v1="+v1
		}
		a.Header.Set(name, a.Header.Get(name)+join+second)
		for _, holder := range []string{secret, other} {
			theirs, ours := p.verify(holder, a, body), verifier(t, p, holder).Verify(a, body)
			if theirs != nil || ours != nil {
				t.Errorf("%s: the library says %v, refrain %v", p.scheme, theirs, ours)
			}
		}
	}
}

// sortedForm is what Twilio signs after the URL.
func sortedForm(body []byte) string {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		panic(err)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		b.WriteString(name + values.Get(name))
	}
	return b.String()
}
