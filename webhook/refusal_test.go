package webhook_test

import (
	"crypto/ed25519"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/webhook"
)

// refused fails the test unless v refuses the request with the error want, and without telling a secret.
func refused(t *testing.T, d *delivery, v *webhook.Verifier, r *http.Request, want error) {
	t.Helper()
	err := v.Verify(r, []byte(d.body))
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", d.name, err, want)
		return
	}
	if !strings.HasPrefix(err.Error(), string(d.scheme)+" webhook: ") {
		t.Errorf("%s: %q does not name the scheme", d.name, err)
	}
	secretFree(t, d, err.Error())
}

func TestAnythingElseIsRefused(t *testing.T) {
	t.Parallel()
	for _, d := range deliveries() {
		whole, signature := d.header[d.signed], d.signature()
		before := strings.TrimSuffix(whole, signature)
		for _, change := range []struct {
			name, header string
			want         error
		}{
			{"truncated", whole[:len(whole)-4], webhook.ErrMalformed},
			{"longer", whole + "00", webhook.ErrMalformed},
			{"twice in a line", before + signature + signature, webhook.ErrMalformed},
			{"fullwidth", before + "ａ" + signature[1:], webhook.ErrMalformed},
			{"null byte", whole + "\x00", webhook.ErrMalformed},
			{"line break", whole + "\r\n", webhook.ErrMalformed},
			{"line break inside", before + signature[:4] + "\n" + signature[4:], webhook.ErrMalformed},
			{"white space", before + " " + signature, webhook.ErrMalformed},
			{"over-long", whole + strings.Repeat(",", 5000), webhook.ErrMalformed},
			{"without what precedes it", "x" + signature, webhook.ErrMalformed},
			{"only the beginning right", before + signature[:len(signature)/2] + rest(signature), webhook.ErrMismatch},
			{"only the end right", before + other(signature[0]) + signature[1:], webhook.ErrMismatch},
		} {
			named := d
			named.name += ", " + change.name
			r := d.request()
			r.Header.Set(d.signed, change.header)
			refused(t, &named, d.verifier(t, 0), r, change.want)
		}
	}
}

func TestAnEmptyHeaderIsMissing(t *testing.T) {
	t.Parallel()
	for _, d := range deliveries() {
		r := d.request()
		r.Header.Set(d.signed, "")
		refused(t, &d, d.verifier(t, 0), r, webhook.ErrMissing)
	}
}

func TestHexIsLowerCase(t *testing.T) {
	t.Parallel()
	for _, d := range deliveries() {
		if strings.Trim(d.signature(), "0123456789abcdef") != "" {
			continue
		}
		r := d.request()
		r.Header.Set(d.signed, strings.TrimSuffix(d.header[d.signed], d.signature())+strings.ToUpper(d.signature()))
		refused(t, &d, d.verifier(t, 0), r, webhook.ErrMalformed)
	}
}

// The last character of base64 has bits that stand for nothing. A decoder that ignores them takes several texts for one.
func TestBase64HasOneForm(t *testing.T) {
	t.Parallel()
	d := composed()[0]
	text := []byte(d.signature())
	text[len(text)-2]++ // before the padding, of which two bits are unused
	r := d.request()
	r.Header.Set(d.signed, string(text))
	refused(t, &d, d.verifier(t, 0), r, webhook.ErrMalformed)
	r.Header.Set(d.signed, strings.TrimRight(d.signature(), "="))
	refused(t, &d, d.verifier(t, 0), r, webhook.ErrMalformed)
}

// rest is as long as the second half of an encoded signature, and differs from it in every byte but padding.
func rest(signature string) string {
	half := strings.TrimRight(signature[len(signature)/2:], "=")
	last := half[len(half)-1]
	b := make([]byte, 0, len(half))
	for i := range len(half) - 1 {
		b = append(b, other(half[i])[0])
	}
	return string(b) + string(last) + signature[len(signature)/2+len(half):]
}

func other(c byte) string {
	if c == 'a' {
		return "b"
	}
	return "a"
}

func TestEveryHeaderOccursOnce(t *testing.T) {
	t.Parallel()
	for _, d := range deliveries() {
		for name := range d.header {
			if name == "Content-Type" {
				continue
			}
			r := d.request()
			r.Header.Add(name, d.header[name])
			refused(t, &d, d.verifier(t, 0), r, webhook.ErrMalformed)

			r = d.request()
			r.Header.Del(name)
			refused(t, &d, d.verifier(t, 0), r, webhook.ErrMissing)
			if err := d.verifier(t, 0).Verify(r, []byte(d.body)); !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %q does not name %s", d.name, err, name)
			}
		}
	}
}

func TestAnotherBodyIsRefused(t *testing.T) {
	t.Parallel()
	for _, d := range deliveries() {
		for _, body := range []string{"", d.body + "x", d.body[:len(d.body)-1], "x" + d.body[1:]} {
			changed := d
			changed.body = body
			refused(t, &changed, d.verifier(t, 0), changed.request(), webhook.ErrMismatch)
		}
	}
}

func TestAnotherSecretIsRefused(t *testing.T) {
	t.Parallel()
	for _, d := range deliveries() {
		refused(t, &d, d.verifier(t, 0, d.another), d.request(), webhook.ErrMismatch)
	}
}

func TestEverySecretOfARotationIsTried(t *testing.T) {
	t.Parallel()
	for _, d := range deliveries() {
		for _, secrets := range [][]string{{d.secret, d.another}, {d.another, d.secret}} {
			if err := d.verifier(t, 0, secrets...).Verify(d.request(), []byte(d.body)); err != nil {
				t.Errorf("%s: %v", d.name, err)
			}
		}
	}
}

func TestTimestampsMustBeNear(t *testing.T) {
	t.Parallel()
	for _, d := range deliveries() {
		if d.at.IsZero() {
			continue
		}
		for _, late := range []time.Duration{5 * time.Minute, -5 * time.Minute} {
			if err := d.verifier(t, late).Verify(d.request(), []byte(d.body)); err != nil {
				t.Errorf("%s, %s late: %v", d.name, late, err)
			}
		}
		for _, late := range []time.Duration{5*time.Minute + 1, -5*time.Minute - 1, 1e6 * time.Hour, -1e5 * time.Hour} {
			refused(t, &d, d.verifier(t, late), d.request(), webhook.ErrStale)
		}
		d.config.Tolerance = time.Second
		refused(t, &d, d.verifier(t, 2*time.Second), d.request(), webhook.ErrStale)
	}
}

func TestTimestampsAreDigits(t *testing.T) {
	t.Parallel()
	for _, d := range deliveries() {
		for name, value := range d.header {
			stamp := fmt.Sprint(d.at.Unix())
			if d.at.IsZero() || !strings.Contains(value, stamp) {
				continue
			}
			for _, bad := range []string{"+" + stamp, "-" + stamp, stamp + ".0", stamp[:4] + "_" + stamp[4:], "0x5b46", "now", "１"} {
				r := d.request()
				r.Header.Set(name, strings.Replace(value, stamp, bad, 1))
				refused(t, &d, d.verifier(t, 0), r, webhook.ErrMalformed)
			}
			for _, far := range []string{"0", "9223372036854775807"} {
				r := d.request()
				r.Header.Set(name, strings.Replace(value, stamp, far, 1))
				refused(t, &d, d.verifier(t, 0), r, webhook.ErrStale)
			}
			r := d.request() // the same second, but not what was signed
			r.Header.Set(name, strings.Replace(value, stamp, "0"+stamp, 1))
			refused(t, &d, d.verifier(t, 0), r, webhook.ErrMismatch)
		}
	}
}

func TestTheTimestampIsSigned(t *testing.T) {
	t.Parallel()
	for _, d := range deliveries() {
		stamp, next := fmt.Sprint(d.at.Unix()), fmt.Sprint(d.at.Unix()+1)
		for name, value := range d.header {
			if !d.at.IsZero() && strings.Contains(value, stamp) {
				r := d.request()
				r.Header.Set(name, strings.Replace(value, stamp, next, 1))
				refused(t, &d, d.verifier(t, 0), r, webhook.ErrMismatch)
			}
		}
	}
}

// While a sender rotates its secret, the header holds a signature by each; ours may be any of them.
func TestEverySignatureIsTried(t *testing.T) {
	t.Parallel()
	for _, d := range deliveries() {
		var join string
		whole := d.header[d.signed]
		before, valid := strings.TrimSuffix(whole, d.signature()), d.signature()
		wrong := other(valid[0]) + valid[1:]
		switch d.scheme {
		case webhook.StandardWebhooks:
			join = " "
		case webhook.Stripe:
			join, before = ",", "v1="
		default:
			continue
		}
		prefix := strings.TrimSuffix(whole, before+valid)
		for _, list := range [][]string{
			{wrong, valid}, {valid, wrong}, {wrong, wrong, wrong, valid}, {"", valid}, {"!", valid}, {valid[:len(valid)-8], valid},
		} {
			header := prefix + "v9" + before[2:] + valid
			for _, s := range list {
				header += join + before + s
			}
			r := d.request()
			r.Header.Set(d.signed, header)
			if err := d.verifier(t, 0).Verify(r, []byte(d.body)); err != nil {
				t.Errorf("%s: %s: %v", d.name, header, err)
			}
		}
		for _, header := range []string{
			prefix + before + wrong + join + before + wrong, prefix + before + wrong + join + "v0" + before[2:] + valid,
		} {
			r := d.request()
			r.Header.Set(d.signed, header)
			refused(t, &d, d.verifier(t, 0), r, webhook.ErrMismatch)
		}
	}
}

// The id, the timestamp and the body are joined by full stops. With one in the id, a part of the body could be passed off as
// the timestamp, and what follows it as the body.
func TestTextInABodyIsNoTimestamp(t *testing.T) {
	t.Parallel()
	d := published()[0]
	d.header["webhook-id"] = `msg_1.1614265000.{"comment":"x`
	d.body = `rest of the comment"}`
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(d.secret, "whsec_"))
	d.header["webhook-signature"] = "v1," + base64SHA256(string(key), d.header["webhook-id"]+".1614265330."+d.body)
	refused(t, &d, d.verifier(t, 0), d.request(), webhook.ErrMalformed)
}

func TestKeysOfTwoVersionsAtOnce(t *testing.T) {
	t.Parallel()
	v1, v1a := published()[0], published()[1]
	for _, d := range []delivery{v1, v1a} {
		if err := d.verifier(t, 0, v1.secret, v1a.secret).Verify(d.request(), []byte(d.body)); err != nil {
			t.Errorf("%s: %v", d.name, err)
		}
	}
	// A signature of one version never counts as one of the other: a public key is not an HMAC key.
	public := strings.TrimPrefix(v1a.secret, "whpk_")
	key, _ := base64.StdEncoding.DecodeString(public)
	v1.header["webhook-signature"] = "v1," + base64SHA256(string(key), "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330."+v1.body)
	refused(t, &v1, v1.verifier(t, 0, v1a.secret), v1.request(), webhook.ErrMismatch)
	if len(key) != ed25519.PublicKeySize {
		t.Fatal("the test's key is none")
	}
}

func TestTwilioURLs(t *testing.T) {
	t.Parallel()
	const secret, form = "12345", "b=2&a=1&b=1&b=2"
	sign := func(url string) string {
		return base64.StdEncoding.EncodeToString(sum(sha1.New, secret, url+"a1b1b2"))
	}
	for _, test := range []struct{ public, target, signed string }{
		{"https://hooks.example.com", "/in?x=1", "https://hooks.example.com/in?x=1"},
		{"https://hooks.example.com", "/in?x=1", "https://hooks.example.com:443/in?x=1"},
		{"https://hooks.example.com:8443", "/in", "https://hooks.example.com:8443/in"},
		{"https://hooks.example.com:8443", "/in", "https://hooks.example.com/in"},
		{"http://[::1]:8080", "/in", "http://[::1]/in"},
		{"https://example.com/api/", "/in", "https://example.com/api/in"},
		{"https://example.com/a%2Fb", "/c%2Fd?", "https://example.com/a%2Fb/c%2Fd?"},
		{"", "/in", "http://example.com/in"},
		{"", "https://example.com/in", "https://example.com/in"},
	} {
		d := delivery{
			name: test.public + " " + test.target, scheme: webhook.Twilio, secret: secret, signed: "X-Twilio-Signature", body: form,
			config: webhook.Config{PublicURL: test.public}, url: test.target,
			header: map[string]string{"X-Twilio-Signature": sign(test.signed), "Content-Type": "application/x-www-form-urlencoded"},
		}
		if err := d.verifier(t, 0).Verify(d.request(), []byte(d.body)); err != nil {
			t.Errorf("%s: %v", d.name, err)
		}
		r := d.request()
		r.Header.Set("X-Forwarded-Proto", "https")
		r.Header.Set("X-Forwarded-Host", "elsewhere.example")
		if err := d.verifier(t, 0).Verify(r, []byte(d.body)); err != nil {
			t.Errorf("%s: forwarding headers count: %v", d.name, err)
		}
		d.url = strings.Replace(d.url, "/in", "/on", 1) + "&y=1"
		refused(t, &d, d.verifier(t, 0), d.request(), webhook.ErrMismatch)
	}
}

// A body that is neither a form nor named by its digest is not signed, whatever the signature of the URL.
func TestTwilioSignsTheBody(t *testing.T) {
	t.Parallel()
	json := published()[5]
	for name, change := range map[string]func(*delivery){
		"unsigned JSON":     func(d *delivery) { d.url = "/myapp.php" },
		"unsigned, no type": func(d *delivery) { d.url = "/myapp.php"; delete(d.header, "Content-Type") },
		"empty digest":      func(d *delivery) { d.url = "/myapp.php?bodySHA256=" },
		"upper-case digest": func(d *delivery) { d.url = "/myapp.php?bodySHA256=" + strings.ToUpper(json.url[22:]) },
		"second digest":     func(d *delivery) { d.url += "&bodySHA256=" + json.url[22:] },
		"digest of another": func(d *delivery) { d.body += " " },
		"a form that is none": func(d *delivery) {
			d.url, d.body, d.header["Content-Type"] = "/", "a=%zz", "application/x-www-form-urlencoded"
		},
	} {
		d := json
		d.header = maps.Clone(json.header)
		change(&d)
		d.name = name
		signed := sum(sha1.New, d.secret, "https://mycompany.com"+d.url) // the URL itself is signed well
		d.header["X-Twilio-Signature"] = base64.StdEncoding.EncodeToString(signed)
		err := d.verifier(t, 0).Verify(d.request(), []byte(d.body))
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestPlainHMAC(t *testing.T) {
	t.Parallel()
	for _, h := range []webhook.HMAC{
		{Header: "X-S", Hash: webhook.SHA1},
		{Header: "X-S", Hash: webhook.SHA256, Encoding: webhook.Base64, Prefix: "sig "},
		{Header: "x-s", Hash: webhook.SHA512, Encoding: webhook.Hex},
	} {
		d := delivery{
			name: fmt.Sprint(h), scheme: webhook.PlainHMAC, secret: "hush", config: webhook.Config{HMAC: h}, body: "b",
			header: map[string]string{"X-S": h.Prefix + plain[h.Hash]}, signed: "X-S",
		}
		if err := d.verifier(t, 0).Verify(d.request(), []byte(d.body)); err != nil {
			t.Errorf("%+v: %v", h, err)
		}
	}
}

// plain holds HMACs of "b" under "hush", made by openssl dgst -hmac.
var plain = map[webhook.Hash]string{
	webhook.SHA1:   "c482f0c67a49ccd4b2af4831c7f3d0a7317e59fe",
	webhook.SHA256: "DzBV16Wopi1CgnMHDnGWfgdC4LNMDsOdkoCpqWHLFYE=",
	webhook.SHA512: "8cac65c61bb6cf465c9eef7541ddbf77f2cb64ecaedd41e4c6982c2178266ece" +
		"1e8299fa02c4ccf9e4a94ab86b2b69be9758e9ecbd14e641dd3e22178f8878c8",
}
