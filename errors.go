package refrain

import "errors"

// Errors that a caller branches on.
var (
	// ErrStale says that a token is not the newest of its operation: the claim was taken over, ended or never made.
	ErrStale = errors.New("the claim's token is not the newest")
	// ErrUnavailable says that the store could not be reached, is full, or did not answer in time.
	ErrUnavailable = errors.New("store unavailable")
	// ErrFull is an ErrUnavailable: the store has no room for new claims.
	ErrFull error = &unavailable{"store full"}
	// ErrClosed is an ErrUnavailable: the store or guard was closed.
	ErrClosed error = &unavailable{"closed"}
	// ErrInvalidKey says that an operation's key is empty or too long.
	ErrInvalidKey = errors.New("invalid key")
	// ErrUnrecorded says that an operation ended but that the store does not know it yet. The key stays claimed, and the
	// guard goes on trying.
	ErrUnrecorded = errors.New("outcome not recorded yet")
)

// Errors of [Guard.Resolve].
var (
	// ErrAbsent says that nobody knows of the operation.
	ErrAbsent = errors.New("no such operation")
	// ErrChanged says that the operation is not the one any more that the operator looked at.
	ErrChanged = errors.New("the operation has changed since it was looked at")
	// ErrWrongState says that an operation in that state cannot be resolved in that way.
	ErrWrongState = errors.New("not possible in the operation's state")
)

// Errors of [Do], one for each verdict but Run and Replay.
var (
	ErrInFlight = errors.New("operation is in flight")
	ErrMismatch = errors.New("key was used with another request")
	ErrUnknown  = errors.New("whether the operation happened is unknown")
	ErrExpired  = errors.New("operation was processed, its outcome is not kept")
)

// unavailable is a sentinel of its own that is also an ErrUnavailable.
type unavailable struct{ text string }

func (e *unavailable) Error() string { return e.text }

func (e *unavailable) Is(target error) bool { return target == ErrUnavailable }
