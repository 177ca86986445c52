package webhook

import "errors"

// What is wrong with a signature; every error of Verify matches one of them. They differ in what an operator does about them,
// never in what the sender is told.
var (
	// ErrMissing: a header that the scheme needs is absent or empty, or nothing signs the body.
	ErrMissing = errors.New("signature missing")

	// ErrMalformed: a header, or for Twilio the URL or the body, does not have the form that the sender documents. So is one
	// that occurs twice.
	ErrMalformed = errors.New("signature malformed")

	// ErrStale: the signed timestamp is further from the clock than the tolerance. A replay, or a clock that is wrong.
	ErrStale = errors.New("signature stale")

	// ErrMismatch: none of the secrets makes this signature from this request. A forgery, a secret that was rotated, or
	// something in between that changed the body.
	ErrMismatch = errors.New("signature mismatch")
)
