package webhook_test

import (
	"strings"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/webhook"
)

func TestNewSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	const hidden = "topsecret"
	good := webhook.HMAC{Header: "X-S"}
	for _, test := range []struct {
		scheme  webhook.Scheme
		secrets []string
		config  webhook.Config
		says    string
	}{
		{"cloudevents", []string{hidden}, webhook.Config{}, "no such scheme"},
		{"", []string{hidden}, webhook.Config{}, "no such scheme"},
		{webhook.GitHub, nil, webhook.Config{}, "at least one secret"},
		{webhook.GitHub, []string{hidden}, webhook.Config{Tolerance: time.Minute}, "leave it out"},
		{webhook.Slack, []string{hidden}, webhook.Config{Tolerance: -1}, "negative"},
		{webhook.Slack, []string{hidden}, webhook.Config{PublicURL: "https://example.com"}, "leave it out"},
		{webhook.Slack, []string{hidden}, webhook.Config{HMAC: good}, "scheme hmac only"},
		{webhook.StandardWebhooks, []string{hidden + "!"}, webhook.Config{}, "secret 1 of 1: it is not base64"},
		{webhook.StandardWebhooks, []string{"whsec_"}, webhook.Config{}, "not base64"},
		{webhook.StandardWebhooks, []string{"whsec_dG9wc2VjcmV0", "whpk_dG9wc2VjcmV0"}, webhook.Config{}, "secret 2 of 2: its public key has 9 bytes"},
		{webhook.StandardWebhooks, []string{"whsk_dG9wc2VjcmV0"}, webhook.Config{}, "whpk_"},
		{webhook.Twilio, []string{hidden}, webhook.Config{PublicURL: "example.com"}, "a scheme and a host"},
		{webhook.Twilio, []string{hidden}, webhook.Config{PublicURL: "ftp://example.com"}, "a scheme and a host"},
		{webhook.Twilio, []string{hidden}, webhook.Config{PublicURL: "https://example.com/?a"}, "no user, query or fragment"},
		{webhook.Twilio, []string{hidden}, webhook.Config{PublicURL: "https://me:topsecret@example.com"}, "no user"},
		{webhook.Twilio, []string{hidden}, webhook.Config{PublicURL: "https://me:topsecret@exa%mple"}, "not a URL"},
		{webhook.PlainHMAC, []string{hidden}, webhook.Config{}, "name of the header"},
		{webhook.PlainHMAC, []string{hidden}, webhook.Config{HMAC: webhook.HMAC{Header: "X S"}}, "not the name of a header"},
		{webhook.PlainHMAC, []string{hidden}, webhook.Config{HMAC: webhook.HMAC{Header: "X-S", Hash: "md5"}}, "sha1, sha256 and sha512"},
		{webhook.PlainHMAC, []string{hidden}, webhook.Config{HMAC: webhook.HMAC{Header: "X-S", Encoding: "base32"}}, "hex and base64"},
		{webhook.PlainHMAC, []string{hidden}, webhook.Config{HMAC: webhook.HMAC{Header: "X-S", Prefix: "ａ"}}, "printable"},
	} {
		_, err := webhook.New(test.scheme, secretsOf(t, test.secrets...), test.config)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, want %q", test.scheme, err, test.says)
			continue
		}
		if strings.Contains(err.Error(), hidden) || strings.Contains(err.Error(), "dG9wc2VjcmV0") {
			t.Errorf("%s: %q tells the secret", test.scheme, err)
		}
		if !strings.Contains(err.Error(), string(test.scheme)) {
			t.Errorf("%s: %q does not name the scheme", test.scheme, err)
		}
	}
}

func TestAnEmptySecretIsNone(t *testing.T) {
	t.Parallel()
	for _, d := range deliveries() {
		good := secretsOf(t, d.secret)[0]
		if _, err := webhook.New(d.scheme, []webhook.Secret{good, {}}, d.config); err == nil {
			t.Errorf("%s: an empty secret beside another is accepted", d.name)
		}
		if _, err := webhook.New(d.scheme, []webhook.Secret{{}}, d.config); err == nil || !strings.Contains(err.Error(), "empty") {
			t.Errorf("%s: got %v", d.name, err)
		}
	}
}
