package refrainhttp

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/refrain-dev/refrain"
)

// NewOutcome returns an outcome that is replayed as the answer with that status, header and body, for whoever knows the answer
// of an operation that did not record it: a probe or an operator. Of the header it keeps what is kept of a handler's answer,
// and no cookies. The outcome shares the body's memory.
func NewOutcome(status int, h http.Header, body []byte) (refrain.Outcome, error) {
	switch {
	case status < 200 || status > 599:
		return refrain.Outcome{}, fmt.Errorf("status %d cannot end an operation; use one from 200 to 599", status)
	case len(body) > 0 && !bodyAllowed(status):
		return refrain.Outcome{}, fmt.Errorf("an answer with status %d has no body", status)
	}
	if name := misfit(h); name != "" {
		return refrain.Outcome{}, fmt.Errorf("header field %q is none that can be sent", name)
	}
	fields := storable(nil, &capture{header: h})
	if t := sniff(h, body); t != "" {
		fields = append(fields, field{"Content-Type", []string{t}}) // as the first answer would have had
	}
	s := stored{header: fields}
	return refrain.Outcome{Status: status, Meta: s.append(nil), Body: body}, nil
}

// misfit returns the name of a field that is no field: a line break in it would begin another one.
func misfit(h http.Header) string {
	for name, lines := range h {
		if !isToken(name) || slices.ContainsFunc(lines, func(s string) bool { return strings.ContainsFunc(s, isMisplaced) }) {
			return name
		}
	}
	return ""
}

// isMisplaced reports whether a character cannot be in the value of a field (RFC 9110, section 5.5).
func isMisplaced(r rune) bool { return r != '\t' && isControl(r) }
