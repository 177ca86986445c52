package refrainhttp

import (
	"net/http"
	"slices"
)

// Answers say how the middleware speaks: what marks an answer, and how those are worded that it gives itself. The zero
// Answers are those of the default dialect: marks in header fields of their own, and problem documents (RFC 9457).
//
// Header lines are "Name: value". Values and bodies may hold variables:
//
//	${key}               the key as the client wrote it
//	${status}            what the answer is: see Status
//	${replayed}          "true" when it is a recorded answer
//	${expires}           until when the recorded answer is replayed (an HTTP date)
//	${code}, ${title}, ${detail}, ${type}, ${http_status}, ${retryable}
//	                     of the problem; retryable is true or false
//	${advice}            "same-key", "new-key" or "none": what to retry with
//	${retry_after}       in how many seconds
//	${original_status}   the status of the recorded answer, where there is one
//	${outcome:/a/b}      what the recorded answer, a document of JSON, has at the pointer (RFC 6901)
//	${request:/id}       in a body: the string or number that the request, a document of JSON, has at the pointer, as it is written
//	                     there, quotes and all; null if it has none
//	${resource}          the ID of what the recorded answer created: its id, or that inside its only member
//
// In a body they are escaped for its media type. A header line whose variable is empty is left out.
type Answers struct {
	// Marks are header lines of every answer to a request with a key. If nil: Idempotency-Key, Idempotency-Status,
	// Idempotent-Replayed, Idempotency-Expires and, on problems, Idempotency-Advice, each with its variable. They know the
	// first four variables and advice.
	Marks []string
	// OutcomeMarks are header lines of the answers that are the operation's own: executed, replayed or unrecorded.
	OutcomeMarks []string
	// ReleaseMarks are header lines of the answers that say that nothing happened: those that are classed as Release. They have
	// no OutcomeMarks.
	ReleaseMarks []string
	// Problem words the problems that have no words of their own: each of the fields below that is empty takes its from here.
	Problem Answer

	KeyMissing, KeyInvalid, Mismatch, InProgress, Unknown, Expired, NotReplayable Answer
	Unavailable, BodyTooLarge, Unsupported, TooLate, Unverified, BodyBroken       Answer
	// Unreachable and Unanswered are for handlers that could not ask, or did not hear from, the API behind them: see Fail.
	Unreachable, Unanswered Answer
	// Repeat, if it has a Status, is what the retry of an operation gets that ended with 2xx, instead of the recorded answer.
	Repeat Answer
}

// An Answer is one that the middleware gives itself. Fields that are empty have their default.
type Answer struct {
	Status int
	Code   string   // what programs tell problems apart by
	Detail string   // a sentence for people
	Header []string // lines
	// Body is a template. If empty, a problem document.
	Body string
}

// withDefaults returns the answers with their marks made explicit.
func (a Answers) withDefaults() Answers {
	if a.Marks == nil {
		a.Marks = []string{
			headerKey + ": ${key}", headerStatus + ": ${status}", headerReplayed + ": ${replayed}", headerExpires + ": ${expires}",
			headerAdvice + ": ${advice}",
		}
	}
	return a
}

// of returns the words for a kind of problem: its own over those of all problems over the default ones.
func (a *Answers) of(k problemKind) (problemType, Answer) {
	t := k.describe()
	own := a.Problem
	if p := a.own(k); p != nil {
		overlay(&own, *p)
	}
	orElse(&own.Status, t.status)
	orElse(&own.Code, t.code)
	orElse(&own.Detail, t.detail)
	return t, own
}

func overlay(to *Answer, a Answer) {
	to.Header = append(slices.Clip(to.Header), a.Header...)
	orElse(&a.Status, to.Status)
	orElse(&a.Code, to.Code)
	orElse(&a.Detail, to.Detail)
	orElse(&a.Body, to.Body)
	to.Status, to.Code, to.Detail, to.Body = a.Status, a.Code, a.Detail, a.Body
}

// own returns the answer that a policy has for a kind, or nil.
func (a *Answers) own(k problemKind) *Answer {
	switch k {
	case problemKeyMissing:
		return &a.KeyMissing
	case problemKeyInvalid:
		return &a.KeyInvalid
	case problemMismatch:
		return &a.Mismatch
	case problemInProgress:
		return &a.InProgress
	case problemUnknown:
		return &a.Unknown
	case problemExpired:
		return &a.Expired
	case problemNotReplayable:
		return &a.NotReplayable
	case problemUnavailable:
		return &a.Unavailable
	case problemTooLarge:
		return &a.BodyTooLarge
	case problemBodyBroken:
		return &a.BodyBroken
	case problemUnsupported:
		return &a.Unsupported
	case problemTooLate:
		return &a.TooLate
	case problemUnverified:
		return &a.Unverified
	case problemRepeat:
		return &a.Repeat
	case problemUnreachable:
		return &a.Unreachable
	case problemUnanswered, problemTimedOut:
		return &a.Unanswered
	}
	return nil
}

// statusAllowed reports whether an answer may have the status: one that ends a request.
func statusAllowed(status int) bool { return status >= http.StatusOK && status < 600 }
