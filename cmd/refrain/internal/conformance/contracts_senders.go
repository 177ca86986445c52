package conformance

import (
	"net/http"
	"time"
)

// senders are the contracts of those who send webhooks and events.
func senders() []Contract {
	return []Contract{
		sender("standard-webhooks", "Standard Webhooks", inHeader("Webhook-Id"), outlives(76*time.Hour), signed()),
		sender("github", "GitHub webhooks", inHeader("X-GitHub-Delivery"), outlives(72*time.Hour), signed()),
		sender("shopify", "Shopify webhooks", inHeader("X-Shopify-Webhook-Id"), signed(), Rule{
			Test: "shopify-events-api", Section: "Events API", Level: Must, check: replaysUnder("Shopify-Webhook-Id"),
		}, Rule{
			Test: "event-id", Section: webhooks, Level: May,
			Not: "deliveries are told apart; an event that has many is one with key.from: header:X-Shopify-Event-Id",
		}),
		sender("slack", "Slack Events API", inBody("event_id"), outlives(6*time.Minute), signed()),
		sender("twilio", "Twilio webhooks", inHeader("I-Twilio-Idempotency-Token"), signed()),
		cloudEvents(),
		sender("stripe-events", "Stripe webhooks", inBody("id"), outlives(72*time.Hour), signed(), Rule{
			Test: "object-and-type", Section: webhooks, Level: May, Not: "events are told apart by their own ID only",
		}),
	}
}

func cloudEvents() Contract {
	place := func(a *ask, id string) {
		a.header["Ce-Source"], a.header["Ce-Id"] = []string{"/orders"}, []string{id}
	}
	c := sender("cloudevents", "CloudEvents 1.0, HTTP binding", place, Rule{
		Test: "source-and-id", Section: "§3.1", Level: Must, check: tupleParts,
	}, Rule{
		Test: "batches", Section: "HTTP §3.3", Level: May,
		Not: "a batch of events has no one ID; it is refused as a request without one",
	})
	c.Rules = except(c.Rules, "length", "key-lines")
	return c
}

const webhooks = "webhooks"

// signed returns the rule of senders who sign.
func signed() Rule {
	return Rule{Test: "signature-first", Section: webhooks, Level: Must, check: signedOnly}
}

// outlives returns the rule that an event is remembered until the sender's last retry.
func outlives(schedule time.Duration) Rule {
	return Rule{Test: "outlives-retries", Section: webhooks, Level: Must, check: protectsFor(schedule)}
}

func sender(dialect, name string, place func(*ask, string), own ...Rule) Contract {
	e := usual(headerOf(place))
	e.place, e.limit, e.anonymous, e.dropped, e.expired = place, 1024, true, again, 200
	e.fates = map[int]fate{302: again, 402: again, 429: again, 500: again}
	e.inFlight = problem(503, "in-progress", "Retry-After:")
	all := rules(own, delivered(), except(common(), "replay-completed", "no-key-optional", "no-key-required",
		"inflight-409", "mismatch-body", "mismatch-in-flight", "json-order-equal", "json-number-equal", "json-number-exact",
		"json-twice", "json-null-vs-absent", "json-array-order", "query-differs", "path-differs", "two-principals", "4xx-saved",
		"5xx-policy", "unanswered", "replay-marker"))
	if e.header == "" {
		all = except(all, "key-lines")
	}
	return Contract{Dialect: dialect, Name: name, expectations: e, Rules: all}
}

// headerOf returns a field that a key is put into, "" if it is put into the body.
func headerOf(place func(*ask, string)) (name string) {
	a := &ask{header: http.Header{}, body: "{}"}
	place(a, "key")
	for name = range a.header {
		break
	}
	return name
}

// delivered returns the rules of all who deliver at least once.
func delivered() []Rule {
	return []Rule{
		{Test: "first-executes", Section: webhooks, Level: Must, check: firstExecutes},
		{Test: "duplicate-stored-2xx", Section: webhooks, Level: Must, check: replays},
		{Test: "id-required", Section: webhooks, Level: Promise, check: demands},
		{Test: "payload-ignored", Section: webhooks, Level: Promise, check: ignoresPayload},
		{Test: "signed-anew", Section: webhooks, Level: Must, check: signedAnew},
		{Test: "inflight-503", Section: webhooks, Level: Must, check: conflicts},
		{Test: "failed-3xx-again", Section: webhooks, Level: Must, of: 302, check: keeps(302)},
		{Test: "failed-4xx-again", Section: webhooks, Level: Must, of: 402, check: keeps(402)},
		{Test: "failed-5xx-again", Section: webhooks, Level: Must, of: 500, check: keeps(500)},
		{Test: "unanswered-again", Section: webhooks, Level: Must, check: unanswered},
	}
}
