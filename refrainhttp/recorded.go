package refrainhttp

import (
	"fmt"
	"net/http"

	"github.com/refrain-dev/refrain"
)

// NewOutcome returns an outcome that is replayed as the answer with that status, header and body, for whoever knows the answer
// of an operation that did not record it: a probe or an operator. Of the header it keeps what is kept of a handler's answer,
// and no cookies. The outcome shares the body's memory.
func NewOutcome(status int, h http.Header, body []byte) (refrain.Outcome, error) {
	switch {
	case status < 200 || status > 599:
		return refrain.Outcome{}, fmt.Errorf("status %d is none of a final answer; 200 to 599 are", status)
	case len(body) > 0 && !bodyAllowed(status):
		return refrain.Outcome{}, fmt.Errorf("an answer with status %d has no body", status)
	}
	s := stored{header: storable(nil, &capture{header: h})}
	return refrain.Outcome{Status: status, Meta: s.append(nil), Body: body}, nil
}
