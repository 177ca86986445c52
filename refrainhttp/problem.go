package refrainhttp

import (
	"net/http"
	"strings"
)

// ProblemBase is where problem types are described; a type's URI is this and its code.
const ProblemBase = "https://github.com/refrain-dev/refrain/blob/main/docs/problems.md#"

// A problemKind is one of the problem types (RFC 9457) that the middleware answers with.
type problemKind uint8

const (
	problemNone problemKind = iota
	problemKeyMissing
	problemKeyInvalid
	problemMismatch
	problemInProgress
	problemUnknown
	problemExpired
	problemNotReplayable
	problemUnavailable
	problemTooLarge
	problemBodyBroken
	problemBodyTimeout
	problemUpgrade
	problemUnsupported
	problemTooLate
	problemUnverified
	problemRepeat
	problemPassed
	problemCallerUnproven
	problemCallerUnclear
	problemUnreachable
	problemUnanswered
	problemTimedOut
	problemKinds // how many there are
)

// A problemType is what all problems of one kind share.
type problemType struct {
	code, title string
	status      int
	retryable   bool // the same request, sent again later, may fare better
	detail      string
}

func (k problemKind) describe() problemType {
	switch k {
	case problemKeyMissing:
		return problemType{
			"key-missing", "Idempotency-Key is missing", http.StatusBadRequest, false,
			"This operation needs an idempotency key. Send one, new for each operation and the same for each retry of it.",
		}
	case problemKeyInvalid:
		return problemType{"key-invalid", "Idempotency-Key is not valid", http.StatusBadRequest, false, ""}
	case problemMismatch:
		return problemType{
			"key-mismatch", "Idempotency-Key is already used", http.StatusUnprocessableEntity, false,
			"This key was used with another request. Nothing was run. Send a new operation with a new key.",
		}
	case problemInProgress:
		return problemType{
			"in-progress", "A request is outstanding for this Idempotency-Key", http.StatusConflict, true,
			"The operation is still running. Send the same request again later to get its answer.",
		}
	case problemUnknown:
		return problemType{
			"outcome-unknown", "Whether the operation happened is not known", http.StatusConflict, true,
			"An earlier attempt ended without a clear outcome. It is not run again with this key; find out whether it " +
				"happened before you use another one.",
		}
	case problemExpired:
		return problemType{
			"expired", "The operation was processed, its answer is no longer kept", http.StatusGone, false,
			"This key was used for an operation that was processed. It is not run again.",
		}
	case problemNotReplayable:
		return problemType{
			"not-replayable", "The operation is done, its answer was not kept", http.StatusConflict, false,
			"The operation was processed, but its answer could not be kept. It is not run again.",
		}
	}
	return k.describeRequest()
}

// describeRequest describes the kinds that are about a request, not about an operation.
func (k problemKind) describeRequest() problemType {
	switch k {
	case problemUnavailable:
		return problemType{
			"unavailable", "Idempotency is not available", http.StatusServiceUnavailable, true,
			"The request was not run. Send it again later with the same key.",
		}
	case problemTooLarge:
		return problemType{
			"body-too-large", "The request body is too large", http.StatusRequestEntityTooLarge, false,
			"The request was not run: its body is longer than what is allowed with an idempotency key.",
		}
	case problemBodyTimeout:
		return problemType{
			"body-timeout", "The request body did not arrive in time", http.StatusRequestTimeout, true,
			"The request was not run. Send it again with the same key.",
		}
	case problemBodyBroken:
		return problemType{
			"body-broken", "The request body could not be read", http.StatusBadRequest, true,
			"The request was not run. Send it again with the same key.",
		}
	}
	return k.describeContract()
}

// describeContract describes the kinds that only some contracts know.
func (k problemKind) describeContract() problemType {
	switch k {
	case problemUnsupported:
		return problemType{
			"not-supported", "This operation cannot be repeated safely", http.StatusNotImplemented, false,
			"The request was not run: this operation does not know idempotency keys. Send it without one.",
		}
	case problemTooLate:
		return problemType{
			"too-late", "The operation was first sent too long ago", http.StatusPreconditionFailed, false,
			"The request was not run: whether it ran before is no longer remembered. Find out before you send it as a new operation.",
		}
	case problemUnverified:
		return problemType{
			"signature-invalid", "The request is not signed by who it says", http.StatusUnauthorized, false,
			"Nothing was looked up or run: the request's signature is missing, wrong or too old.",
		}
	case problemPassed:
		return problemType{
			"number-passed", "The number is below the window", http.StatusConflict, false,
			"Much greater numbers were used since, and whether this one was is no longer remembered. The request was not run. " +
				"Send a new operation with a greater number.",
		}
	case problemCallerUnproven:
		return problemType{
			"caller-unproven", "The request does not prove who it comes from", http.StatusUnauthorized, true,
			"The request was not run. Send it again with the same key and a valid credential.",
		}
	case problemCallerUnclear:
		return problemType{
			"caller-unclear", "The request does not tell who it comes from", http.StatusForbidden, false,
			"The request was not run: what names its caller has no single meaning.",
		}
	case problemRepeat:
		return problemType{
			"already-done", "The operation is done already", http.StatusConflict, false,
			"An earlier request with this key has done it.",
		}
	}
	return k.describeFailure()
}

// describeFailure describes the kinds that are about the API behind a handler.
func (k problemKind) describeFailure() problemType {
	switch k {
	case problemUnreachable:
		return problemType{
			"upstream-unreachable", "The upstream cannot be reached", http.StatusBadGateway, true,
			"Nothing was sent to the API, so nothing happened. Send the same request again.",
		}
	case problemUnanswered:
		return problemType{
			"upstream-unanswered", "The upstream did not give a whole answer", http.StatusBadGateway, true,
			"The request was sent to the API; whether it was carried out is not known.",
		}
	case problemTimedOut:
		t := problemUnanswered.describeFailure()
		t.title, t.status = "The upstream did not answer in time", http.StatusGatewayTimeout
		return t
	}
	return problemType{
		"upgrade-refused", "A keyed request cannot change the protocol", http.StatusBadRequest, false,
		"An upgraded connection cannot be replayed. Send the request without the key or without the upgrade.",
	}
}

// sentence returns an error's text as a sentence. What begins with a place, such as body:/id, stays as it is written.
func sentence(err error) string {
	text := err.Error()
	if first, _, _ := strings.Cut(text, " "); strings.Contains(strings.TrimSuffix(first, ":"), ":") {
		return text + "."
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// advice returns what a client should try next: the same key again, a new one, or nothing.
func (k problemKind) advice() string {
	switch k {
	case problemInProgress, problemUnknown, problemUnavailable, problemBodyBroken, problemBodyTimeout,
		problemCallerUnproven, problemUnreachable, problemUnanswered, problemTimedOut:
		return "same-key"
	case problemMismatch, problemKeyMissing, problemKeyInvalid, problemPassed:
		return "new-key"
	}
	return "none"
}
