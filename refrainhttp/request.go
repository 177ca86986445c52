package refrainhttp

import (
	"maps"
	"net/http"
	"strings"
)

// ownHeader returns a copy of a request's header without the fields that only this package sets, and with a Connection
// header that removes neither them nor the key.
func ownHeader(h http.Header, keyNames []string) http.Header {
	own := make(http.Header, len(h)+2) // for the two fields that are added
	for name, lines := range h {
		if !IsOwn(name) {
			own[name] = lines
		}
	}
	if lines := h["Connection"]; len(lines) > 0 {
		own["Connection"] = keepEndToEnd(lines, keyNames)
	}
	return own
}

// spoofed reports whether a client sent a field that only this package sets.
func spoofed(h http.Header) bool {
	return h[headerStatus] != nil || h[headerReplayed] != nil || h[headerExpires] != nil || h[headerAttempt] != nil ||
		h[headerFence] != nil || h[headerAdvice] != nil || h[headerKeySource] != nil
}

func stripOurs(h http.Header) {
	delete(h, headerStatus)
	delete(h, headerReplayed)
	delete(h, headerExpires)
	delete(h, headerAttempt)
	delete(h, headerFence)
	delete(h, headerAdvice)
	delete(h, headerKeySource)
}

// stripped returns the request without the fields that only this package sets.
func stripped(r *http.Request) *http.Request {
	if !spoofed(r.Header) {
		return r
	}
	c := *r
	c.Header = maps.Clone(r.Header)
	stripOurs(c.Header)
	return &c
}

// keepEndToEnd returns Connection lines without the names of fields that must reach the handler whatever a client says.
func keepEndToEnd(lines, keyNames []string) []string {
	var kept []string
	for _, line := range lines {
		for e := range strings.SplitSeq(line, ",") {
			name := http.CanonicalHeaderKey(strings.TrimSpace(e))
			mustStay := IsOwn(name)
			for _, key := range keyNames {
				mustStay = mustStay || name == key
			}
			if !mustStay && name != "" {
				kept = append(kept, strings.TrimSpace(e))
			}
		}
	}
	return kept
}
