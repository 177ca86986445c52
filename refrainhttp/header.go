package refrainhttp

import (
	"net/http"
	"slices"
	"strings"
)

// The header fields that this package sets.
const (
	headerKey      = "Idempotency-Key"
	headerStatus   = "Idempotency-Status"
	headerReplayed = "Idempotent-Replayed"
	headerExpires  = "Idempotency-Expires"
	headerAttempt  = "Idempotency-Attempt"
	headerFence    = "Idempotency-Fence"
	headerAdvice   = "Idempotency-Advice"
	// headerKeySource says, on answers to requests with a derived key, that the client sent none.
	headerKeySource = "Idempotency-Key-Source"
)

// IsOwn reports whether the canonical name is a header field that only this package sets: what a client sends under it is
// stripped. The key is not one: clients send it.
func IsOwn(name string) bool {
	switch name {
	case headerStatus, headerReplayed, headerExpires, headerAttempt, headerFence, headerAdvice, headerKeySource:
		return true
	}
	return false
}

// describesAttempt reports whether the canonical name is a field that belongs to one attempt and not to the operation's
// result: it is neither stored nor replayed. The reasons are in RFC 9110 sections 6.6.1, 7.6.1 and 8.6, and RFC 9111
// section 3.1.
func describesAttempt(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Transfer-Encoding", "Upgrade", "Trailer",
		"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info",
		"Content-Length", "Date",
		"Age", "Server-Timing", "X-Request-Id", "Traceresponse", "Via", "Alt-Svc", "Strict-Transport-Security",
		"Retry-After", headerKey:
		return true
	}
	return IsOwn(name) || strings.HasPrefix(name, "Ratelimit") ||
		strings.HasPrefix(name, "Access-Control-") || strings.HasPrefix(name, http.TrailerPrefix)
}

// isTakenOut reports whether net/http takes the field with that canonical name out of a request's header, where nobody finds it.
func isTakenOut(name string) bool {
	return name == "Host" || name == "Transfer-Encoding" || name == "Trailer"
}

// hasElement reports whether a comma-separated list has the element, in any case.
func hasElement(lines []string, element string) bool {
	for _, line := range lines {
		for rest, more := line, true; more; {
			var e string
			e, rest, more = strings.Cut(rest, ",")
			e, _, _ = strings.Cut(e, ";") // TE elements have parameters
			if strings.EqualFold(strings.TrimSpace(e), element) {
				return true
			}
		}
	}
	return false
}

// copyHeader copies src into dst with values that share nothing, as Header.Clone does. They lie in the memory of room if
// that is enough.
func copyHeader(dst, src http.Header, room []string) {
	n := 0
	for _, values := range src {
		n += len(values)
	}
	room = slices.Grow(room, n)
	for name, values := range src {
		start := len(room)
		room = append(room, values...)
		dst[name] = room[start:len(room):len(room)]
	}
}

// sortedNames returns the names of h in order, in the memory of room.
func sortedNames(room []string, h http.Header) []string {
	for name := range h {
		room = append(room, name)
	}
	slices.Sort(room)
	return room
}
