package webhook_test

import (
	"testing"
	"time"

	"github.com/refrain-dev/refrain/webhook"
)

// published are examples from the documentation and the test suites of the senders, and of the specification.
func published() []delivery {
	return []delivery{
		{ // standard-webhooks/libraries, test of Sign
			name: "standard-webhooks v1", scheme: webhook.StandardWebhooks,
			secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", another: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
			at: time.Unix(1614265330, 0), signed: "webhook-signature",
			header: map[string]string{
				"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
				"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
			},
			body: `{"test": 2432232314}`,
		},
		{ // Svix server, test_asymmetric_key_signing; the specification shows the same signature
			name: "standard-webhooks v1a", scheme: webhook.StandardWebhooks,
			secret: "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", another: "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
			at: time.Unix(1614265330, 0), signed: "webhook-signature",
			header: map[string]string{
				"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
				"webhook-signature": "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
			},
			body: `{"test": 2432232314}`,
		},
		{ // docs.github.com, Validating webhook deliveries, Testing the webhook payload validation
			name: "github", scheme: webhook.GitHub, signed: "X-Hub-Signature-256",
			secret: "It's a Secret to Everybody", another: "It's a Secret to Nobody",
			header: map[string]string{
				"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
			},
			body: "Hello, World!",
		},
		{ // docs.slack.dev, Verifying requests from Slack
			name: "slack", scheme: webhook.Slack, signed: "X-Slack-Signature", at: time.Unix(1531420618, 0),
			secret: "8f742231b10e8888abcd99yyyzzz85a5", another: "8f742231b10e8888abcd99yyyzzz85a6",
			header: map[string]string{
				"X-Slack-Request-Timestamp": "1531420618",
				"X-Slack-Signature":         "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
			},
			body: "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&" +
				"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=" +
				"https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&" +
				"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
		},
		{ // twilio-go and its siblings, test of Validate
			name: "twilio form", scheme: webhook.Twilio, signed: "X-Twilio-Signature", secret: "12345", another: "123456",
			url:    "/myapp.php?foo=1&bar=2",
			config: webhook.Config{PublicURL: "https://mycompany.com"},
			header: map[string]string{
				"X-Twilio-Signature": "vOEb5UThFn24KEfnOFLQY2AE5FY=", "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
			},
			body: "Digits=1234&CallSid=CA1234567890ABCDE&To=%2B18005551212&Caller=%2B14158675309&From=%2B14158675309&" +
				"ReasonConferenceEnded=test&Reason=Participant",
		},
		{ // as above, test of ValidateBody
			name: "twilio JSON", scheme: webhook.Twilio, signed: "X-Twilio-Signature", secret: "12345", another: "123456",
			url:    "/myapp.php?bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
			config: webhook.Config{PublicURL: "https://mycompany.com"},
			header: map[string]string{"X-Twilio-Signature": "y77kIzt2vzLz71DgmJGsen2scGs=", "Content-Type": "application/json"},
			body:   `{"property": "value", "boolean": true}`,
		},
	}
}

// composed are deliveries of schemes for which no sender publishes an example with its secret; they are signed here, by what
// the documentation says. The module test holds Stripe's against Stripe's library.
func composed() []delivery {
	const body = `{"id":"evt_1"}`
	return []delivery{
		{
			name: "shopify", scheme: webhook.Shopify, signed: "X-Shopify-Hmac-Sha256", secret: "hush", another: "hushed",
			header: map[string]string{"X-Shopify-Hmac-Sha256": base64SHA256("hush", body)}, body: body,
		},
		{
			name: "stripe", scheme: webhook.Stripe, signed: "Stripe-Signature", secret: "whsec_test", another: "whsec_tess",
			at:     time.Unix(1492774577, 0),
			header: map[string]string{"Stripe-Signature": "t=1492774577,v1=" + hexSHA256("whsec_test", "1492774577."+body)}, body: body,
		},
		{
			name: "hmac", scheme: webhook.PlainHMAC, signed: "X-Signature", secret: "hush", another: "hushed",
			config: webhook.Config{HMAC: webhook.HMAC{Header: "X-Signature", Prefix: "v1="}},
			header: map[string]string{"X-Signature": "v1=" + hexSHA256("hush", body)}, body: body,
		},
	}
}

func deliveries() []delivery { return append(published(), composed()...) }

func TestWhatSendersSignIsAccepted(t *testing.T) {
	t.Parallel()
	for _, d := range deliveries() {
		if err := d.verifier(t, 0).Verify(d.request(), []byte(d.body)); err != nil {
			t.Errorf("%s: %v", d.name, err)
		}
	}
}
