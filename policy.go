package refrain

import (
	"fmt"
	"time"
)

// An UnknownPolicy says what becomes of a retry when nobody knows whether the effect happened.
type UnknownPolicy uint8

const (
	// Hold tells the caller and waits for a late finish or an operator.
	Hold UnknownPolicy = iota
	// Rerun executes again: the upstream declares itself idempotent or checks the fence.
	Rerun
	// Probe asks the upstream whether it happened, by the operation's Probe, and holds as long as the upstream cannot tell.
	// An operation without a Probe is held.
	Probe
)

// A StoreDownPolicy says what becomes of a request while the store is unavailable.
type StoreDownPolicy uint8

const (
	// FailClosed refuses the request.
	FailClosed StoreDownPolicy = iota
	// FailOpen runs it unprotected and marks the answer.
	FailOpen
)

// A Policy governs an operation. The zero Policy works.
type Policy struct {
	// Wait is how long a duplicate waits for the attempt in flight before it is told InFlight. If zero, it is told at once.
	Wait time.Duration
	// Lease is how long a claim lives without renewal; a living owner renews it. If zero, 30 seconds.
	Lease time.Duration
	// Timeout bounds one execution, however long the client stays. If zero, 60 seconds.
	Timeout time.Duration
	// Retention is how long an outcome is replayed. If zero, 24 hours.
	Retention time.Duration
	// Tombstone is how long after the retention the key is still known as used. If zero, 7 days; if negative, not at all.
	Tombstone time.Duration
	// Unknown says what becomes of a retry of an unknown outcome. The zero value is Hold.
	Unknown UnknownPolicy
	// Quiet is for Probe: how long after the claim was made the upstream is asked at the earliest, so that an execution whose
	// owner was cut off, and what it has set going, has ended by then. If zero, the Timeout, which ends an execution, and to
	// which a Guard adds its StoreTimeout, for an execution begins when the claim is answered; if negative, none.
	Quiet time.Duration
	// ProbeTimeout bounds one probe; the duplicates that wait for it wait that long, whatever Wait is. If zero, 5 seconds.
	ProbeTimeout time.Duration
	// StoreDown says what becomes of a request while the store is unavailable. The zero value is FailClosed.
	StoreDown StoreDownPolicy
}

// Validate reports what is wrong with the policy.
func (p *Policy) Validate() error {
	if min(p.Wait, p.Lease, p.Timeout, p.Retention, p.ProbeTimeout) >= 0 && (p.Lease == 0 || p.Lease >= minLease) {
		return nil
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"wait", p.Wait},
		{"lease", p.Lease},
		{"timeout", p.Timeout},
		{"retention", p.Retention},
		{"probe timeout", p.ProbeTimeout},
	} {
		if d.value < 0 {
			return fmt.Errorf("%s is %s; it must not be negative", d.name, d.value)
		}
	}
	return fmt.Errorf("lease is %s; less than %s leaves no time to renew it", p.Lease, minLease)
}

// minLease is the shortest lease that an owner on a busy machine can be expected to renew.
const minLease = 100 * time.Millisecond

// WithDefaults returns the policy with every zero value made explicit, and a Tombstone that is none as zero.
func (p Policy) WithDefaults() Policy {
	setDefault(&p.Lease, 30*time.Second)
	setDefault(&p.Timeout, time.Minute)
	setDefault(&p.Retention, 24*time.Hour)
	setDefault(&p.Tombstone, 7*24*time.Hour)
	p.Tombstone = max(p.Tombstone, 0)
	setDefault(&p.Quiet, p.Timeout)
	p.Quiet = max(p.Quiet, 0)
	setDefault(&p.ProbeTimeout, 5*time.Second)
	return p
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}
