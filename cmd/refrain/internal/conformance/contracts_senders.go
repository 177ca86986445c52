package conformance

// senders are the contracts of those who send webhooks and events.
func senders() []Contract {
	return []Contract{
		sender("standard-webhooks", "Standard Webhooks", inHeader("Webhook-Id"), "Webhook-Id"),
		sender("github", "GitHub webhooks", inHeader("X-Github-Delivery"), "X-Github-Delivery"),
		sender("shopify", "Shopify webhooks", inHeader("X-Shopify-Webhook-Id"), "X-Shopify-Webhook-Id", Rule{
			Test: "shopify-events-api", Section: "Events API", Level: Must, check: replaysUnder("Shopify-Webhook-Id"),
		}),
		sender("slack", "Slack Events API", inBody("event_id"), ""),
		sender("twilio", "Twilio webhooks", inHeader("I-Twilio-Idempotency-Token"), "I-Twilio-Idempotency-Token"),
		cloudEvents(),
		sender("stripe-events", "Stripe webhooks", inBody("id"), "", Rule{
			Test: "object-and-type", Section: "webhooks", Level: May,
			Not: "events are told apart by their own ID only",
		}),
	}
}

func cloudEvents() Contract {
	place := func(a *ask, id string) {
		a.header["Ce-Source"], a.header["Ce-Id"] = []string{"/orders"}, []string{id}
	}
	c := sender("cloudevents", "CloudEvents 1.0, HTTP binding", place, "", Rule{
		Test: "source-and-id", Section: "§3.1", Level: Must, check: tupleParts,
	}, Rule{
		Test: "batches", Section: "HTTP §3.3", Level: May,
		Not: "a batch of events has no one ID; it is refused as a request without one",
	})
	c.Rules = except(c.Rules, "length")
	return c
}

func sender(dialect, name string, place func(*ask, string), header string, own ...Rule) Contract {
	e := usual(header)
	e.place, e.limit, e.anonymous, e.dropped, e.expired = place, 1024, true, again, 200
	e.fates = map[int]fate{302: again, 402: again, 429: again, 500: again}
	e.inFlight = problem(503, "in-progress", "Retry-After:")
	const webhooks = "webhooks"
	all := rules(own, []Rule{
		{Test: "first-executes", Section: webhooks, Level: Must, check: firstExecutes},
		{Test: "duplicate-stored-2xx", Section: webhooks, Level: Must, check: replays},
		{Test: "id-required", Section: webhooks, Level: Promise, check: demands},
		{Test: "payload-ignored", Section: webhooks, Level: Promise, check: ignoresPayload},
		{Test: "signed-anew", Section: webhooks, Level: Must, check: signedAnew},
		{Test: "inflight-503", Section: webhooks, Level: Must, check: conflicts},
		{Test: "failed-3xx-again", Section: webhooks, Level: Must, check: keeps(302)},
		{Test: "failed-4xx-again", Section: webhooks, Level: Must, check: keeps(402)},
		{Test: "failed-5xx-again", Section: webhooks, Level: Must, check: keeps(500)},
		{Test: "unanswered-again", Section: webhooks, Level: Must, check: unanswered},
	}, except(common(), "replay-completed", "no-key-optional", "no-key-required", "inflight-409", "mismatch-body",
		"mismatch-in-flight", "json-order-equal", "json-number-equal", "json-number-exact", "json-null-vs-absent",
		"json-array-order", "query-differs", "path-differs", "two-principals", "4xx-saved", "5xx-policy", "unanswered", "replay-marker"))
	if header == "" {
		all = except(all, "key-lines")
	}
	return Contract{Dialect: dialect, Name: name, expectations: e, Rules: all}
}
