package webhook_test

import (
	"crypto/sha1"
	"encoding/base64"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/webhook"
)

// A parser may do as it likes with a header as long as nothing is accepted that does not hold the one right signature, in the
// one form that the sender writes, and no error tells it.
func fuzz(f *testing.F, d delivery, right func(timestamp, body string) string) {
	stampName := ""
	for name := range d.header {
		if strings.HasSuffix(strings.ToLower(name), "timestamp") {
			stampName = name
		}
	}
	f.Add(d.header[d.signed], d.header[stampName], d.body)
	f.Fuzz(func(t *testing.T, signed, stamp, body string) {
		r := d.request()
		r.Header.Set(d.signed, signed)
		if stampName != "" {
			r.Header.Set(stampName, stamp)
		}
		if d.scheme == webhook.Stripe {
			_, stamp, _ = strings.Cut(signed, "t=")
			stamp, _, _ = strings.Cut(stamp, ",")
		}
		want := right(stamp, body)
		err := d.verifier(t, 0).Verify(r, []byte(body))
		switch {
		case err == nil && !strings.Contains(signed, want):
			t.Errorf("%q is accepted", signed)
		case err != nil && (strings.Contains(err.Error(), want) || strings.Contains(err.Error(), d.secret)):
			t.Errorf("%q tells a secret", err)
		case err != nil && signed == strings.Replace(d.header[d.signed], d.signature(), want, 1) && stamp == d.header[stampName]:
			t.Errorf("%q is refused: %v", signed, err)
		}
	})
}

func FuzzStandardWebhooks(f *testing.F) {
	d := published()[0]
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(d.secret, "whsec_"))
	fuzz(f, d, func(timestamp, body string) string {
		return base64SHA256(string(key), d.header["webhook-id"]+"."+timestamp+"."+body)
	})
}

func FuzzHMACHex(f *testing.F) {
	d := published()[2]
	fuzz(f, d, func(_, body string) string { return hexSHA256(d.secret, body) })
}

func FuzzHMACBase64(f *testing.F) {
	d := composed()[0]
	fuzz(f, d, func(_, body string) string { return base64SHA256(d.secret, body) })
}

func FuzzSlack(f *testing.F) {
	d := published()[3]
	fuzz(f, d, func(timestamp, body string) string { return hexSHA256(d.secret, "v0:"+timestamp+":"+body) })
}

func FuzzStripe(f *testing.F) {
	d := composed()[1]
	fuzz(f, d, func(timestamp, body string) string { return hexSHA256(d.secret, timestamp+"."+body) })
}

// FuzzTwilio looks for a request that is accepted although its URL does not bind the body.
func FuzzTwilio(f *testing.F) {
	d := published()[5]
	f.Add(d.header["X-Twilio-Signature"], strings.TrimPrefix(d.url, "/myapp.php?"), d.header["Content-Type"], d.body)
	f.Fuzz(func(t *testing.T, signed, query, media, body string) {
		r := httptest.NewRequest("POST", "/myapp.php", nil)
		r.URL.RawQuery, r.RequestURI = query, "/myapp.php?"+query
		r.Header.Set("Content-Type", media)
		v := d.verifier(t, time.Hour)
		r.Header.Set(d.signed, signed)
		if err := v.Verify(r, []byte(body)); err == nil && signed != d.header[d.signed] {
			t.Errorf("%q is accepted for %q", signed, query)
		}
		url := "https://mycompany.com/myapp.php?" + query
		r.Header.Set(d.signed, base64.StdEncoding.EncodeToString(sum(sha1.New, d.secret, url)))
		if err := v.Verify(r, []byte(body)); err == nil && body != "" && !r.URL.Query().Has("bodySHA256") &&
			strings.Trim(body, "=&") != "" {
			t.Errorf("the body %q is accepted, and nothing signs it", body)
		}
	})
}
