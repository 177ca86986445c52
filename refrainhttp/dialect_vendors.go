package refrainhttp

import "github.com/refrain-dev/refrain"

// stripe is version 1 of the API. Its clients judge an error by the shape of its body, and do not try again after a 409 of
// that shape: waiting is the only way for a duplicate in flight to succeed.
func stripe() Dialect {
	return Dialect{
		Name: "stripe", Contract: "Stripe API v1", Methods: []string{"POST"},
		Policy: Policy{
			Operation: refrain.Policy{Wait: 30 * second, Retention: day, Tombstone: -1},
			Key:       Key{Format: Bare},
			// One credential may act for many accounts.
			RouteScope: RouteNone, ScopeHeaders: []string{"Stripe-Account", "Stripe-Context"},
			Fingerprint: Fingerprint{Of: []string{"method", "path", "query"}},
			Outcomes: Outcomes{
				Final: []string{"2xx", "3xx", "4xx", "5xx"}, Release: releases("409"), Unknown: []string{},
				Headers: []HeaderRule{{"Stripe-Should-Retry", "true", Release}, {"Stripe-Should-Retry", "false", Final}},
			},
			Answers: stripeAnswers(),
		},
	}
}

func stripeAnswers() Answers {
	again, never := []string{"Stripe-Should-Retry: true"}, []string{"Stripe-Should-Retry: false"}
	return Answers{
		Marks: replayMarked(),
		Problem: Answer{
			Body: `{"error":{"type":"idempotency_error","code":"${code}","message":"${detail}","doc_url":"${type}"}}`,
		},
		KeyMissing: Answer{Code: "idempotency_key_missing"},
		Mismatch:   Answer{Status: 400, Code: "idempotency_key_mismatch", Header: never},
		InProgress: Answer{Code: "idempotency_key_in_use", Header: again},
		// To a client of Stripe, a 500 is what leaves open whether it happened.
		Unknown:     Answer{Status: 500, Code: "idempotency_outcome_unknown", Header: never},
		Unavailable: Answer{Code: "idempotency_unavailable", Header: again},
		Unreachable: Answer{Code: "api_unreachable", Header: again},
		Unanswered:  Answer{Status: 500, Code: "idempotency_outcome_unknown", Header: never},
	}
}

// stripeV2 runs what failed again.
func stripeV2() Dialect {
	d := stripe()
	d.Name, d.Contract, d.Methods = "stripe-v2", "Stripe API v2", []string{"POST", "DELETE"}
	d.Policy.Operation.Retention = 30 * day
	d.Policy.Outcomes = Outcomes{Final: []string{"2xx", "3xx"}, Release: []string{"4xx", "5xx"}, Unknown: []string{}}
	return d
}

func adyen() Dialect {
	const body = `{"status":${http_status},"errorCode":"${code}","message":"${detail}","errorType":"validation"}`
	transient := []string{"Transient-Error: true"}
	return Dialect{
		Name: "adyen", Contract: "Adyen API idempotency", Methods: []string{"POST"},
		Policy: Policy{
			Operation:  refrain.Policy{Wait: -1, Retention: 7 * day},
			Key:        Key{Format: Bare, MaxLength: 64},
			Principal:  []Source{"header:X-Api-Key", "header:Authorization"},
			RouteScope: RouteNone,
			Outcomes: Outcomes{
				Final: []string{"2xx", "3xx", "4xx", "5xx"}, Unknown: []string{},
				Headers: []HeaderRule{{"Transient-Error", "true", Release}},
			},
			Answers: Answers{
				Marks:       echoed(),
				Problem:     Answer{Body: body},
				InProgress:  Answer{Status: 422, Code: "704", Header: transient},
				Mismatch:    Answer{Code: "704"},
				Unavailable: Answer{Code: "703", Header: transient},
				Unreachable: Answer{Header: transient},
			},
		},
	}
}

func checkout() Dialect {
	return Dialect{
		Name: "checkout", Contract: "Checkout.com API idempotency", Methods: []string{"POST"},
		Policy: Policy{
			Operation: refrain.Policy{Wait: -1, Retention: day, Tombstone: -1},
			Key:       Key{From: []string{"header:Cko-Idempotency-Key"}, Format: Bare},
			Outcomes:  Outcomes{Final: []string{"2xx", "3xx"}, Release: []string{"4xx", "5xx"}, Unknown: []string{}},
			Answers: Answers{
				Marks:   statusOnly(),
				Problem: Answer{Body: `{"error_type":"request_invalid","error_codes":["${code}"]}`},
			},
		},
	}
}

// gocardless answers the repetition of a success with a conflict that names what was created, whatever the second body says.
func gocardless() Dialect {
	const body = `{"error":{"code":${http_status},"type":"invalid_state","message":"${detail}",` +
		`"errors":[{"reason":"${code}","message":"${detail}"}]}}`
	const conflict = `{"error":{"code":409,"type":"invalid_state","message":"${detail}",` +
		`"errors":[{"reason":"${code}","message":"${detail}","links":{"conflicting_resource_id":"${resource}"}}]}}`
	return Dialect{
		Name: "gocardless", Contract: "GoCardless API idempotency keys", Methods: []string{"POST"},
		Policy: Policy{
			Operation:   refrain.Policy{Retention: 30 * day},
			Key:         Key{Format: Bare},
			RouteScope:  RoutePath,
			Fingerprint: Fingerprint{Of: []string{}, Body: BodyNone},
			Outcomes:    Outcomes{Final: []string{"2xx"}, Release: []string{"3xx", "4xx", "5xx"}, Unknown: []string{}},
			Answers: Answers{
				Marks:   statusOnly(),
				Problem: Answer{Body: body},
				Repeat: Answer{
					Code: "idempotent_creation_conflict", Status: 409, Body: conflict,
					Detail: "A resource has already been created with this idempotency key.",
				},
			},
		},
	}
}

func square() Dialect {
	const body = `{"errors":[{"category":"INVALID_REQUEST_ERROR","code":"${code}","detail":"${detail}","field":"idempotency_key"}]}`
	return Dialect{
		Name: "square", Contract: "Square API idempotency", Methods: []string{"POST", "PUT"},
		Policy: Policy{
			Key:      Key{From: []string{"body:/idempotency_key"}, MaxLength: 45},
			Outcomes: Outcomes{Final: []string{"2xx", "3xx"}, Release: []string{"4xx"}},
			Answers: Answers{
				Marks:    statusOnly(),
				Problem:  Answer{Body: body},
				Mismatch: Answer{Status: 400, Code: "IDEMPOTENCY_KEY_REUSED"},
			},
		},
	}
}

func paypal() Dialect {
	return Dialect{
		Name: "paypal", Contract: "PayPal API idempotency", Methods: []string{"POST"},
		Policy: Policy{
			Operation: refrain.Policy{Wait: -1, Retention: 3 * day},
			Key:       Key{From: []string{"header:PayPal-Request-Id"}, Format: Bare, MaxLength: 108},
			Answers: Answers{
				Marks:      statusOnly(),
				Problem:    Answer{Body: `{"name":"${code}","message":"${detail}","details":[{"issue":"${code}"}]}`},
				InProgress: Answer{Code: "PREVIOUS_REQUEST_IN_PROGRESS"},
				Mismatch:   Answer{Code: "PAYPAL_REQUEST_ID_PREVIOUSLY_USED"},
			},
		},
	}
}

func zuora() Dialect {
	return Dialect{
		Name: "zuora", Contract: "Zuora API idempotent requests", Methods: []string{"POST", "PATCH"},
		Policy: Policy{
			Operation: refrain.Policy{Wait: -1, Retention: day, Tombstone: -1},
			Key:       Key{Format: Bare, MaxLength: 254},
			Outcomes:  Outcomes{Final: []string{"2xx", "3xx", "4xx", "5xx"}, Unknown: []string{}},
			Answers:   Answers{Marks: statusOnly()},
		},
	}
}

func increase() Dialect {
	const body = `{"type":"${code}","status":${http_status},"title":"${title}","detail":"${detail}"}`
	const used = `{"type":"${code}","status":${http_status},"title":"${title}","detail":"${detail}","resource_id":"${resource}"}`
	return Dialect{
		Name: "increase", Contract: "Increase API idempotency keys", Methods: []string{"POST"},
		Policy: Policy{
			Key: Key{Format: Bare, MaxLength: 200},
			Answers: Answers{
				Marks:    replayMarked(),
				Problem:  Answer{Body: body},
				Mismatch: Answer{Status: 409, Code: "idempotency_key_already_used_error", Body: used},
			},
		},
	}
}
