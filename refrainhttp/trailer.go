package refrainhttp

import (
	"net/http"
	"strings"
)

// trailerOf returns the trailers in a handler's header once it has returned: those that its answer declared, and those
// with net/http's prefix.
func trailerOf(header http.Header, declared []string) []field {
	var fields []field
	for _, line := range declared {
		for name := range strings.SplitSeq(line, ",") {
			fields = appendTrailer(fields, strings.TrimSpace(name), header)
		}
	}
	for key, lines := range header {
		if name, ok := strings.CutPrefix(key, http.TrailerPrefix); ok {
			fields = appendTrailer(fields, name, http.Header{http.CanonicalHeaderKey(name): lines})
		}
	}
	return fields
}

func appendTrailer(fields []field, name string, header http.Header) []field {
	name = http.CanonicalHeaderKey(name)
	if lines := header[name]; len(lines) > 0 && trailerAllowed(name) {
		return append(fields, field{name, lines})
	}
	return fields
}

// trailerAllowed reports whether a field may be a trailer: not one that frames, routes or modifies the message (RFC
// 9110, section 6.5.1), nor one of ours.
func trailerAllowed(name string) bool {
	switch name {
	case "", "Host", "Content-Type", "Content-Encoding", "Content-Range", "Cache-Control", "Expect", "Max-Forwards",
		"Pragma", "Range", "Authorization", "Www-Authenticate", "Set-Cookie", "Vary":
		return false
	}
	return !describesAttempt(name) && !strings.HasPrefix(name, "If-")
}

// send writes an answer with its trailers. A client that is gone is no error here.
func send(w http.ResponseWriter, status int, body []byte, trailer []field) {
	h := w.Header()
	delete(h, "Trailer")
	for _, f := range trailer {
		h["Trailer"] = append(h["Trailer"], f.name)
	}
	w.WriteHeader(status)
	if len(body) > 0 {
		_, _ = w.Write(body)
	}
	for _, f := range trailer {
		h[f.name] = f.lines
	}
}
