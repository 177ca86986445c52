package refrainhttp

import "time"

// A Status is the value of an Idempotency-Status header: what an answer to a keyed request is.
type Status string

// The statuses. The last two are told to an Observer only.
const (
	StatusExecuted   Status = "executed"    // this request ran, and nothing is in doubt
	StatusReplayed   Status = "replayed"    // the operation was done before: its answer, or word that it is not kept
	StatusInProgress Status = "in-progress" // another request of the operation is running
	StatusMismatch   Status = "mismatch"    // the key was used with another request
	StatusUnknown    Status = "unknown"     // whether the operation happened is not known
	StatusExpired    Status = "expired"     // the operation was done, its answer is no longer kept
	StatusBypassed   Status = "bypassed"    // this request ran unprotected: the store is away
	StatusUnrecorded Status = "unrecorded"  // this request ran; its answer is not in the store yet
	StatusUnkeyed    Status = "unkeyed"     // this request had no key and ran unprotected
	StatusRefused    Status = "refused"     // this request was not acceptable, or never left for the API; see Event.Problem
)

// told returns the value of the header, empty for what nothing is to be said of.
func (s Status) told() string {
	if s == StatusRefused {
		return ""
	}
	return string(s)
}

// An Observer is told what became of each request on a protected route. Its method is called on the request's path and
// may be called concurrently: it must be quick and must not block.
type Observer interface {
	ObserveRequest(Event)
}

// An Event is what became of one request.
type Event struct {
	Route   string        // the pattern that matched
	Mode    Mode          // Enforce, or Observe: then the rest is what would have happened, and the request was forwarded
	Status  Status        // what the answer is
	Code    int           // the HTTP status of the answer; in observe mode zero if not known
	Problem string        // the code of the problem document, empty when there was none
	Took    time.Duration // since the request arrived
}
