package refrainhttp

import (
	"context"
	"net/http"
)

// A Failure is why a handler has no answer: the API that it asks did not give one.
type Failure uint8

// The failures.
const (
	Unreachable Failure = iota + 1 // nothing was sent to the API, so nothing happened: Release
	Unanswered                     // it was sent, and may have been carried out: Unknown
	TimedOut                       // the same, because time was up
)

// Fail answers for a handler that failed, in the words that the policy has for it, and sets the outcome of a keyed request. w
// and r are what the handler got, and nothing was written to w. It does nothing and reports false for a request that is only
// observed, and for one without a claim whose path has no policy with words of its own: then the handler answers as it likes,
// and sets the outcome.
func Fail(w http.ResponseWriter, r *http.Request, f Failure) bool {
	class, kind := Unknown, problemUnanswered
	switch f {
	case Unreachable:
		class, kind = Release, problemUnreachable
	case TimedOut:
		kind = problemTimedOut
	}
	var x *exchange
	switch running := r.Context().Value(executionKey{}).(type) {
	case *passing:
		return running.fail(w, kind)
	case *execution:
		x, running.failure = &running.x, kind
	case *batchExchange:
		x, running.whole.failure = running.exchange, kind
	default:
		return false
	}
	SetOutcome(r.Context(), class)
	x.telling(StatusRefused, refusal{kind: kind}).write(w)
	return true
}

// IsBatch reports whether a handler runs on behalf of a Batch. The context of one may end before its deadline: when the claim
// of any of its items is lost.
func IsBatch(ctx context.Context) bool {
	_, is := ctx.Value(executionKey{}).(*batchExchange)
	return is
}

type executionKey struct{}
