package refrainhttp

import (
	"time"

	"github.com/refrain-dev/refrain"
)

// senders are the dialects of those who send webhooks and events. A duplicate of one that was handled gets the stored 2xx, one
// that failed runs again, and what is remembered outlives the sender's own retries.
func senders() []Dialect {
	github := sender("github", "GitHub webhooks", 4*day, "header:X-GitHub-Delivery")
	github.Policy.Limits.RequestBody = 25 << 20 // the most that GitHub delivers
	return []Dialect{
		sender("standard-webhooks", "Standard Webhooks", 8*day, "header:Webhook-Id"),
		github,
		sender("shopify", "Shopify webhooks", 4*day, "header:X-Shopify-Webhook-Id", "header:Shopify-Webhook-Id"),
		sender("slack", "Slack Events API", day, "body:/event_id"),
		sender("twilio", "Twilio webhooks", day, "header:I-Twilio-Idempotency-Token"),
		sender("cloudevents", "CloudEvents 1.0, HTTP binding", 8*day, "tuple:ce-source,ce-id", "tuple:/source,/id"),
		sender("stripe-events", "Stripe webhooks", 31*day, "body:/id"),
	}
}

func sender(name, contract string, remembered time.Duration, from ...string) Dialect {
	done := Answer{Status: 200, Code: "duplicate", Detail: "This event was handled before."}
	return Dialect{
		Name: name, Contract: contract, Methods: []string{"POST"},
		Policy: Policy{
			// Senders deliver at least once, and who receives must stand it: what may or may not have happened runs again.
			Operation:   refrain.Policy{Wait: -1, Retention: remembered, Unknown: refrain.Rerun},
			Key:         Key{Required: true, From: from, Format: Bare, MaxLength: 1024},
			Principal:   []Source{"none"},
			Fingerprint: Fingerprint{Of: []string{}, Body: BodyNone},
			Outcomes:    Outcomes{Final: []string{"2xx"}, Release: []string{"3xx", "4xx", "5xx"}, Unknown: []string{}},
			Answers: Answers{
				InProgress:    Answer{Status: 503}, // so that the sender tries again: the first delivery may yet fail
				Expired:       done,
				NotReplayable: done,
			},
		},
	}
}
