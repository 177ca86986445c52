package refrain

import (
	"fmt"
)

// maxKeyLength bounds a key in bytes. Protocols set tighter limits of their own.
const maxKeyLength = 1024

// An Operation is one intended side effect, named by its scope and key.
type Operation struct {
	Scope Scope
	// Key is the client's idempotency key, opaque, 1 to 1024 bytes.
	Key string
	// Fingerprint is a digest of what the request means. It compares two uses of a key and never selects a record.
	Fingerprint Fingerprint
	// Policy governs this operation. If nil, the Guard's policy does.
	Policy *Policy
	// Probe asks the upstream whether the operation happened, for a policy whose Unknown is Probe.
	Probe ProbeFunc
}

// A Scope is the namespace of a key. Two principals never share an operation.
type Scope struct {
	// Principal is who acts: a credential, an account. Empty is a scope of its own, that of callers nobody knows.
	Principal string
	// Route is what is acted on: a route pattern, a job name.
	Route string
}

// A Fingerprint is a digest of what a request means, computed by the protocol in front of the Guard.
type Fingerprint [32]byte

func (op *Operation) validate() error {
	switch {
	case op.Key == "":
		return fmt.Errorf("%w: it is empty", ErrInvalidKey)
	case len(op.Key) > maxKeyLength:
		return fmt.Errorf("%w: it has %d bytes, at most %d are allowed", ErrInvalidKey, len(op.Key), maxKeyLength)
	}
	if op.Policy == nil {
		return nil
	}
	if err := op.Policy.Validate(); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	return nil
}
