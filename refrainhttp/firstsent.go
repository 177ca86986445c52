package refrainhttp

import (
	"fmt"
	"net/http"
	"time"
)

// compileFirstSent sees to it that no request may run whose key may be forgotten.
func (p *plan) compileFirstSent(k *Key) error {
	p.firstSent = http.CanonicalHeaderKey(k.FirstSent)
	op := p.operation.WithDefaults()
	p.ahead = op.Retention + op.Tombstone - k.FirstSentWithin
	switch {
	case k.FirstSent == "":
	case !isToken(p.firstSent):
		return fmt.Errorf("first sent: %q is not a header name", p.firstSent)
	case p.ahead < 0:
		return fmt.Errorf("first sent: requests of %s ago may run, but keys are remembered for %s only", k.FirstSentWithin,
			op.Retention+op.Tombstone)
	}
	return nil
}

// stillInTime says whether an operation that the store lets run is still within the time of its first attempt, which it was when
// the request came: its record may be gone since. It is asked after the claim.
func (x *exchange) stillInTime() problemKind {
	if x.plan.firstSent == "" {
		return problemNone
	}
	return x.plan.checkFirstSent(x.request.Header, true, x.plan.clock.now()).kind
}

// checkFirstSent returns what is wrong with when the request says it was first sent, problemNone if nothing is. The header
// field accompanies the key, always (OASIS Repeatable Requests 1.0, section 2).
func (p *plan) checkFirstSent(h http.Header, hasKey bool, now time.Time) refusal {
	lines := h[p.firstSent]
	switch {
	case !hasKey && len(lines) == 0:
		return refusal{}
	case !hasKey:
		return refusal{kind: problemKeyInvalid, detail: p.firstSent + " is there, but the key is not."}
	case len(lines) != 1:
		return refusal{kind: problemKeyInvalid, detail: fmt.Sprintf("The key needs exactly one %s beside it.", p.firstSent)}
	}
	first, ok := p.sent.parse(lines[0])
	if !ok {
		return refusal{
			kind:   problemKeyInvalid,
			detail: p.firstSent + " is not an HTTP date such as Sun, 06 Nov 1994 08:49:37 GMT (RFC 9110, section 5.6.7).",
		}
	}
	within := p.policy.Key.FirstSentWithin
	switch {
	case within > 0 && now.Sub(first) > within:
		return refusal{kind: problemTooLate}
	case within > 0 && first.Sub(now) > p.ahead: // its key would be forgotten while such a request may still run
		return refusal{kind: problemKeyInvalid, detail: p.firstSent + " is too far in the future."}
	}
	return refusal{}
}
