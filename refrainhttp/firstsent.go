package refrainhttp

import (
	"fmt"
	"net/http"
	"time"
)

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
	if within := p.policy.Key.FirstSentWithin; within > 0 && now.Sub(first) > within {
		return refusal{kind: problemTooLate}
	}
	return refusal{}
}
