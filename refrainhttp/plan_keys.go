package refrainhttp

import (
	"fmt"

	"github.com/refrain-dev/refrain"
)

// compileKeys compiles what the policy has of keys that are not one client's text in one request.
func (p *plan) compileKeys(policy *Policy) (err error) {
	if p.derive, err = newDerivation(policy, p.operation); err != nil {
		return fmt.Errorf("key: derive: %w", err)
	}
	if p.derive != nil {
		p.speech.marks = append(p.speech.marks, mark{name: headerKeySource, variable: varKeySource})
	}
	if p.sequence, err = newSequence(policy); err != nil {
		return fmt.Errorf("key: sequence: %w", err)
	}
	if p.sequence != nil {
		p.operation = sequencePolicy(p.operation)
	}
	if p.batch, err = newBatching(policy, p); err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	p.late = p.late || p.batch != nil
	return nil
}

// keep is the plan's, as far as the kind of the key allows: a derived key lasts for its window, and a number is not forgotten
// because its operation failed.
func (x *exchange) keep(status int) refrain.Keep {
	k := x.plan.keep(status)
	switch {
	case x.key.derived:
		return refrain.Keep{}
	case x.plan.sequence != nil:
		k.Tombstone = 0 // which is the operation's
	}
	return k
}
