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
	// KeyBytes is the key of an operation whose Key is empty, for callers that put keys together in memory that they use again:
	// nothing looks at it after Begin, Recall or ID has returned.
	KeyBytes []byte
	// Fingerprint is a digest of what the request means. It compares two uses of a key and never selects a record.
	Fingerprint Fingerprint
	// FingerprintVersion is that of the algorithm that made the Fingerprint. It is part of the record: fingerprints of two
	// versions are neither the same nor different.
	FingerprintVersion uint8
	// FingerprintAs, if not nil, returns the Fingerprint as another version of the algorithm makes it, for records of that
	// version, and false for a version that it does not know. It is called before Begin or Recall returns, in the caller's
	// goroutine.
	FingerprintAs func(version uint8) (Fingerprint, bool)
	// Policy governs this operation. If nil, the Guard's policy does.
	Policy *Policy
	// Probe asks the upstream whether the operation happened, for a policy whose Unknown is Probe.
	Probe ProbeFunc
	// InBatch says that it runs together with others, in the context of any of them: FinishTx refuses, for it records one
	// outcome.
	InBatch bool
}

// A Scope is the namespace of a key. Two principals never share an operation.
type Scope struct {
	// Principal is who acts: a credential, an account. Empty is a scope of its own, that of callers nobody knows.
	Principal string
	// Route is what is acted on: a route pattern, a job name.
	Route string
}

func (op *Operation) validate() error {
	switch n := max(len(op.Key), len(op.KeyBytes)); {
	case n == 0:
		return fmt.Errorf("%w: it is empty", ErrInvalidKey)
	case n > maxKeyLength:
		return fmt.Errorf("%w: it has %d bytes, at most %d are allowed", ErrInvalidKey, n, maxKeyLength)
	}
	if op.Policy == nil {
		return nil
	}
	if err := op.Policy.Validate(); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	return nil
}
