package refrainhttp

import (
	"slices"

	"github.com/refrain-dev/refrain"
)

// ietf is the draft to the letter: only a structured field is a key, nobody waits.
func ietf() Dialect {
	return Dialect{
		Name: "ietf", Contract: "draft-ietf-httpapi-idempotency-key-header-07", Methods: []string{"POST", "PATCH"},
		Policy: Policy{
			Operation: refrain.Policy{Wait: -1},
			Key:       Key{Format: SFString, MaxLength: 1024},
			Answers:   Answers{Problem: Answer{Header: []string{`Link: <${type}>; rel="describedby"; type="text/html"`}}},
		},
	}
}

// oasis says rejected only of what surely did not happen: of a request beside one that runs, or after one whose outcome is not
// known, it says neither that nor accepted.
func oasis() Dialect {
	rejected := []string{"Repeatability-Result: rejected"}
	return Dialect{
		Name: "oasis", Contract: "OASIS Repeatable Requests 1.0", Methods: []string{"POST", "PUT", "PATCH", "DELETE"},
		Policy: Policy{
			Key: Key{
				From: []string{"header:Repeatability-Request-ID"}, Format: UUID,
				FirstSent: "Repeatability-First-Sent", FirstSentWithin: day,
			},
			Operation:   refrain.Policy{Wait: -1, Retention: day},
			RouteScope:  RouteNone,
			Fingerprint: Fingerprint{Headers: []string{"Repeatability-Client-Id"}},
			Outcomes:    Outcomes{Final: []string{"2xx", "3xx", "4xx", "5xx"}, Unknown: []string{}},
			Answers: Answers{
				Marks:         statusOnly(),
				OutcomeMarks:  []string{"Repeatability-Result: accepted"},
				ReleaseMarks:  rejected,
				KeyMissing:    Answer{Header: rejected},
				KeyInvalid:    Answer{Header: rejected},
				Mismatch:      Answer{Status: 400, Header: rejected},
				Expired:       Answer{Status: 412, Header: rejected},
				TooLate:       Answer{Header: rejected},
				Unsupported:   Answer{Header: rejected},
				Unverified:    Answer{Header: rejected},
				BodyTooLarge:  Answer{Header: rejected},
				NotReplayable: Answer{Header: []string{"Repeatability-Result: accepted"}},
			},
		},
	}
}

// azure is oasis as the Azure Communication Services do it.
func azure() Dialect {
	d := oasis()
	d.Name, d.Contract, d.Methods = "azure", "Azure REST API guidelines and Communication Services", []string{"POST"}
	d.Policy.Key.FirstSentWithin = 5 * minute
	d.Policy.Operation.Retention = hour
	d.Policy.Outcomes = Outcomes{Final: []string{"2xx", "3xx", "4xx"}, Release: releases("5xx"), Unknown: []string{}}
	return d
}

func acp() Dialect {
	const body = `{"type":"invalid_request","code":"${code}","message":"${detail}"}`
	const away = `{"type":"service_unavailable","code":"${code}","message":"${detail}"}`
	return Dialect{
		Name: "acp", Contract: "Agentic Commerce Protocol, rfc.agentic_checkout section 6", Methods: []string{"POST"},
		Policy: Policy{
			Operation:   refrain.Policy{Wait: -1, Retention: day, Tombstone: -1},
			Key:         Key{Required: true, Format: Bare},
			RouteScope:  RoutePath,
			Fingerprint: Fingerprint{Of: []string{}, Body: BodyJSON},
			Outcomes:    Outcomes{Final: []string{"2xx", "3xx", "4xx"}, Release: releases("5xx"), Unknown: []string{}},
			Answers: Answers{
				Problem:     Answer{Body: body},
				KeyMissing:  Answer{Code: "idempotency_key_required"},
				Mismatch:    Answer{Code: "idempotency_conflict"},
				InProgress:  Answer{Code: "idempotency_in_flight"},
				Unavailable: Answer{Code: "idempotency_unavailable", Body: away},
			},
		},
	}
}

func ucp() Dialect {
	return Dialect{
		Name: "ucp", Contract: "Universal Commerce Protocol, August 2026", Methods: []string{"POST", "PUT", "PATCH", "DELETE"},
		Policy: Policy{
			Operation:   refrain.Policy{Wait: -1, Retention: 2 * day},
			Key:         Key{Format: Bare},
			Fingerprint: Fingerprint{Of: []string{"method", "path"}, Body: BodyRaw, Digest: DigestVerify},
			Answers:     Answers{Mismatch: Answer{Status: 409}},
		},
	}
}

func iceberg() Dialect {
	return Dialect{
		Name: "iceberg", Contract: "Apache Iceberg REST catalog", Methods: []string{"POST", "DELETE"},
		Policy: Policy{
			Operation:  refrain.Policy{Retention: day},
			Key:        Key{Format: UUID7, MaxLength: 36},
			RouteScope: RouteNone,
			Outcomes:   Outcomes{Final: []string{"2xx", "3xx", "4xx"}, Release: releases("5xx"), Unknown: []string{}},
			Answers: Answers{
				Problem: Answer{Body: `{"error":{"message":"${detail}","type":"${code}","code":${http_status}}}`},
			},
		},
	}
}

// statusOnly are the marks of contracts that have others than the default ones. What became of a request is always said.
func statusOnly() []string {
	return []string{headerStatus + ": ${status}", headerExpires + ": ${expires}", headerAdvice + ": ${advice}"}
}

// echoed are the marks of contracts that repeat the key.
func echoed(more ...string) []string {
	return slices.Concat([]string{headerKey + ": ${key}"}, statusOnly(), more)
}

// replayMarked are the marks of contracts that repeat the key and mark replays.
func replayMarked() []string { return echoed(headerReplayed + ": ${replayed}") }

// releases returns the statuses that say that nothing happened, and more.
func releases(more ...string) []string {
	return append([]string{"401", "403", "408", "425", "429"}, more...)
}
