package conformance

import "time"

// errorObject is the shape of Stripe's errors, which its clients judge before the status.
func (e *expectations) errorObject() {
	e.shaped("/error/type=idempotency_error", "/error/code", "/error/message", "/error/doc_url")
	again, never := "Stripe-Should-Retry: true", "Stripe-Should-Retry: false"
	e.mismatch.status = 400
	e.mismatch.fields = append(e.mismatch.fields, never)
	e.inFlight.fields = append(e.inFlight.fields, again, "Retry-After:")
	e.inFlight.members[1] = "/error/code=idempotency_key_in_use"
	e.away.fields = append(e.away.fields, again, "Retry-After:")
	e.lost.status, e.lost.fields = 500, append(e.lost.fields, never)
	e.lost.members[1] = "/error/code=idempotency_outcome_unknown"
}

func stripe() Contract {
	const api, low = "idempotent requests", "low-level errors"
	e := usual("Idempotency-Key")
	e.marker, e.waits, e.expired = replayedMark, true, 0
	e.fates = map[int]fate{402: replayed, 409: again, 429: again, 500: replayed}
	e.errorObject()
	return Contract{Dialect: "stripe", Name: "Stripe API v1", expectations: e, Rules: rules([]Rule{
		{Test: "first-executes", Section: api, Level: Must, check: firstExecutes},
		{Test: "replay-completed", Section: api, Level: Must, check: replays},
		{Test: "replay-marker", Section: low, Level: Must, check: marks},
		{Test: "echo-key", Section: low, Level: Must, check: echoes},
		{Test: "no-key-optional", Section: api, Level: Must, check: passes},
		{Test: "get-ignored", Section: api, Level: Must, check: ignoresSafe},
		{Test: "put-delete-policy", Section: api, Level: Must, check: protects},
		{Test: "inflight-409", Section: low, Level: Must, check: conflicts},
		{Test: "stripe-shape", Section: "errors", Level: Must, check: shapes},
		{Test: "mismatch-body", Section: api, Level: Must, check: mismatches},
		{Test: "path-differs", Section: api, Level: Must, check: paths},
		{Test: "key-opaque", Section: api, Level: Must, check: opaque},
		{Test: "length", Section: api, Level: Must, check: lengths},
		{Test: "unauthenticated", Section: low, Level: Must, check: unauthenticated},
		{Test: "4xx-saved", Section: api, Level: Must, of: 402, check: keeps(402)},
		{Test: "409-not-saved", Section: api, Level: Must, of: 409, check: keeps(409)},
		{Test: "429-not-saved", Section: low, Level: Must, of: 429, check: keeps(429)},
		{Test: "5xx-policy", Section: api, Level: Must, of: 500, check: keeps(500)},
		{Test: "should-retry", Section: low, Level: Must, check: follows(400, "Stripe-Should-Retry", "true", again)},
		{Test: "should-not-retry", Section: low, Level: Must, check: follows(429, "Stripe-Should-Retry", "false", replayed)},
		{Test: "ttl", Section: api, Level: Must, check: expires},
		{Test: "remembered", Section: api, Level: Must, check: protectsFor(24 * time.Hour)},
		{Test: "form-spelling", Section: api, Level: Must, check: forms},
		{Test: "multipart-boundary", Section: "files", Level: Promise, check: parts},
		{
			Test: "validation-not-saved", Section: api, Level: Must,
			Not: "from outside, a 400 before the execution began looks like one after it, and is kept; an API tells them apart with " +
				"Stripe-Should-Retry or Idempotency-Outcome: release",
		},
		{Test: "accounts-apart", Section: "Connect", Level: Should, check: accounts},
		{Test: "shape-of-502", Section: "errors", Level: Must, check: shapesOfOthers},
	}, common())}
}

func stripeV2() Contract {
	const api = "v2 idempotency"
	e := usual("Idempotency-Key")
	e.methods, e.marker, e.waits, e.expired = []string{"POST", "DELETE"}, replayedMark, true, 0
	e.fates = map[int]fate{402: again, 429: again, 500: again}
	e.errorObject()
	return Contract{Dialect: "stripe-v2", Name: "Stripe API v2", expectations: e, Rules: rules([]Rule{
		{Test: "replay-completed", Section: api, Level: Must, check: replays},
		{Test: "put-delete-policy", Section: api, Level: Must, check: protects},
		{Test: "4xx-again", Section: api, Level: Must, of: 402, check: keeps(402)},
		{Test: "5xx-policy", Section: api, Level: Must, of: 500, check: keeps(500)},
		{Test: "stripe-shape", Section: "errors", Level: Must, check: shapes},
		{Test: "accounts-apart", Section: "Connect", Level: Should, check: accounts},
		{Test: "key-opaque", Section: api, Level: Must, check: opaque},
		{Test: "remembered", Section: api, Level: Must, check: protectsFor(30 * 24 * time.Hour)},
		{
			Test: "updated-response", Section: api, Level: Must,
			Not: "a replay is the first answer; only the API knows what the response would be today",
		},
		{
			Test: "server-made-key", Section: api, Level: Must,
			Not: "a request without a key runs without one: its retry could not name the key that was made",
		},
	}, except(common(), "4xx-saved"))}
}

func adyen() Contract {
	const api = "API idempotency"
	e := usual("Idempotency-Key")
	e.limit = 64
	e.fates = map[int]fate{402: replayed, 429: again, 500: replayed}
	e.shaped("/errorCode=CODE", "/status", "/message", "/errorType=validation")
	for _, v := range []*verdict{&e.inFlight, &e.mismatch} {
		v.status, v.members[0] = 422, "/errorCode=704"
	}
	e.mismatch.fields = append(e.mismatch.fields, "!Transient-Error")
	e.inFlight.fields = append(e.inFlight.fields, "Transient-Error: true")
	e.away.fields, e.away.members[0] = append(e.away.fields, "Transient-Error: true"), "/errorCode=703"
	return Contract{Dialect: "adyen", Name: "Adyen", expectations: e, Rules: rules([]Rule{
		{Test: "replay-completed", Section: api, Level: Must, check: replays},
		{Test: "echo-key", Section: api, Level: Must, check: echoes},
		{Test: "adyen-transient", Section: api, Level: Must, check: conflicts},
		{Test: "transient-again", Section: api, Level: Must, check: follows(500, "Transient-Error", "true", again)},
		{Test: "transient-false", Section: api, Level: Must, check: follows(500, "Transient-Error", "false", replayed)},
		{Test: "4xx-saved", Section: api, Level: Must, of: 402, check: keeps(402)},
		{Test: "5xx-policy", Section: api, Level: Must, of: 500, check: keeps(500)},
		{Test: "length", Section: api, Level: Must, check: lengths},
		{Test: "remembered", Section: api, Level: Must, check: protectsFor(7 * 24 * time.Hour)},
		{Test: "store-down", Section: api, Level: Must, Alone: true, check: failsClosed},
	}, except(common(), "inflight-409"))}
}

func checkout() Contract {
	const api = "API idempotency"
	e := usual("Cko-Idempotency-Key")
	e.expired = 0
	e.fates = map[int]fate{402: again, 429: again, 500: again}
	e.shaped("/error_codes/0=CODE", "/error_type=request_invalid")
	return Contract{Dialect: "checkout", Name: "Checkout.com", expectations: e, Rules: rules([]Rule{
		{Test: "replay-completed", Section: api, Level: Must, check: replays},
		{Test: "inflight-409", Section: api, Level: Must, check: conflicts},
		{Test: "4xx-again", Section: api, Level: Must, of: 402, check: keeps(402)},
		{Test: "5xx-policy", Section: api, Level: Must, of: 500, check: keeps(500)},
		{Test: "ttl", Section: api, Level: Must, check: expires},
		{Test: "remembered", Section: api, Level: Must, check: protectsFor(24 * time.Hour)},
	}, except(common(), "4xx-saved"))}
}

func gocardless() Contract {
	const api = "idempotency keys"
	e := usual("Idempotency-Key")
	e.waits, e.paths = true, again
	e.fates = map[int]fate{402: again, 429: again, 500: again}
	e.shaped("/error/errors/0/reason=CODE", "/error/type=invalid_state", "/error/code", "/error/message")
	e.repeat = verdict{status: 409, members: []string{
		"/error/errors/0/reason=idempotent_creation_conflict", "/error/errors/0/links/conflicting_resource_id",
	}}
	return Contract{Dialect: "gocardless", Name: "GoCardless", expectations: e, Rules: rules([]Rule{
		{Test: "gocardless-409", Section: api, Level: Must, check: conflictNames},
		{Test: "many-replays", Section: api, Level: Must, check: oneEffect},
		{Test: "4xx-again", Section: api, Level: Must, of: 402, check: keeps(402)},
		{Test: "5xx-policy", Section: api, Level: Must, of: 500, check: keeps(500)},
		{Test: "remembered", Section: api, Level: Should, check: protectsFor(30 * 24 * time.Hour)},
	}, except(common(), "replay-marker", "mismatch-body", "mismatch-in-flight", "json-order-equal", "json-number-equal",
		"json-number-exact", "json-twice", "json-null-vs-absent", "json-array-order", "query-differs", "4xx-saved", "headers",
		"empty-and-binary"))}
}

func square() Contract {
	const api = "idempotency"
	e := usual("")
	e.place, e.waits, e.limit, e.methods = inBody("idempotency_key"), true, 45, []string{"POST", "PUT"}
	e.fates = map[int]fate{402: again, 429: again, 500: held}
	e.shaped("/errors/0/code=CODE", "/errors/0/category=INVALID_REQUEST_ERROR", "/errors/0/detail")
	e.mismatch.status, e.mismatch.members[0] = 400, "/errors/0/code=IDEMPOTENCY_KEY_REUSED"
	return Contract{Dialect: "square", Name: "Square", expectations: e, Rules: rules([]Rule{
		{Test: "square-body-key", Section: api, Level: Must, check: replays},
		{Test: "square-key-text", Section: refrain, Level: Promise, check: keyIsText},
		{Test: "mismatch-body", Section: api, Level: Must, check: mismatches},
		{Test: "4xx-again", Section: api, Level: Must, of: 402, check: keeps(402)},
		{Test: "length", Section: "CreatePayment", Level: Must, check: lengths},
	}, except(common(), "4xx-saved", "key-lines", "json-twice"))}
}

func paypal() Contract {
	const api = "API idempotency"
	e := usual("Paypal-Request-Id")
	e.limit = 108
	e.shaped("/name=CODE", "/message", "/details/0/issue=CODE")
	named := func(v *verdict, name string) { v.members[0], v.members[2] = "/name="+name, "/details/0/issue="+name }
	named(&e.inFlight, "PREVIOUS_REQUEST_IN_PROGRESS")
	named(&e.mismatch, "PAYPAL_REQUEST_ID_PREVIOUSLY_USED")
	return Contract{Dialect: "paypal", Name: "PayPal", expectations: e, Rules: rules([]Rule{
		{Test: "replay-completed", Section: api, Level: Must, check: replays},
		{Test: "no-key-optional", Section: api, Level: Must, check: passes},
		{Test: "inflight-409", Section: "Orders v2", Level: Must, check: conflicts},
		{Test: "mismatch-body", Section: api, Level: Must, check: mismatches},
		{Test: "length", Section: api, Level: Must, check: lengths},
		{
			Test: "latest-status", Section: api, Level: Must,
			Not: "a replay is the first answer; only the API knows the latest status of the operation",
		},
		{
			Test: "ttl-by-api", Section: api, Level: Must,
			Not: "the retention is 3 days for all; set it by route, from 3h for the vault to 45d for payments",
		},
	}, common())}
}

func zuora() Contract {
	const api = "idempotent requests"
	e := usual("Idempotency-Key")
	e.methods, e.limit, e.expired = []string{"POST", "PATCH"}, 254, 0
	e.fates = map[int]fate{402: replayed, 429: again, 500: replayed}
	return Contract{Dialect: "zuora", Name: "Zuora", expectations: e, Rules: rules([]Rule{
		{Test: "replay-completed", Section: api, Level: Must, check: replays},
		{Test: "put-delete-policy", Section: api, Level: Must, check: protects},
		{Test: "inflight-409", Section: api, Level: Must, check: conflicts},
		{Test: "mismatch-body", Section: api, Level: Must, check: mismatches},
		{Test: "length", Section: api, Level: Must, check: lengths},
		{Test: "4xx-saved", Section: api, Level: Must, of: 402, check: keeps(402)},
		{Test: "5xx-policy", Section: api, Level: Must, of: 500, check: keeps(500)},
		{Test: "ttl", Section: api, Level: Must, check: expires},
		{Test: "remembered", Section: api, Level: Must, check: protectsFor(24 * time.Hour)},
		{Test: "headers", Section: api, Level: Must, check: keepsFields},
	}, common())}
}

func increase() Contract {
	const api = "idempotency keys"
	e := usual("Idempotency-Key")
	e.marker, e.waits, e.limit = replayedMark, true, 200
	e.shaped("/type=CODE", "/status", "/title", "/detail")
	e.mismatch.status, e.mismatch.members[0] = 409, "/type=idempotency_key_already_used_error"
	e.mismatch.members = append(e.mismatch.members, "/resource_id")
	return Contract{Dialect: "increase", Name: "Increase", expectations: e, Rules: rules([]Rule{
		{Test: "replay-completed", Section: api, Level: Must, check: replays},
		{Test: "replay-marker", Section: api, Level: Must, check: marks},
		{Test: "increase-resource", Section: api, Level: Must, check: mismatchNames},
		{Test: "mismatch-body", Section: api, Level: Must, check: mismatches},
		{Test: "length", Section: api, Level: Must, check: lengths},
		{
			Test: "list-by-key", Section: api, Level: Must,
			Not: "which objects a key has created is for the API to list",
		},
	}, common())}
}
