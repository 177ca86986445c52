package refrainhttp

import (
	"net/http"
	"strconv"
	"strings"
)

// finish completes an answer whose handler has returned: from here on it is what net/http would have sent.
func (r *recorder) finish() {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	h := r.client.Header()
	_, typed := h["Content-Type"]
	if !typed && len(h["Content-Encoding"]) == 0 && len(r.buf.b) > 0 {
		h["Content-Type"] = []string{http.DetectContentType(r.buf.b)}
	}
}

// truncated reports whether the handler wrote less than it declared: the answer is not whole.
func (r *recorder) truncated() bool {
	return r.length >= 0 && r.written < r.length && bodyAllowed(r.status)
}

// trailer returns the trailers that the handler set: those that it declared in time, and those with net/http's prefix.
func (r *recorder) trailer() []field {
	var fields []field
	for _, line := range r.client.Header()["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if lines := r.header[name]; len(lines) > 0 && trailerAllowed(name) {
				fields = append(fields, field{name, lines})
			}
		}
	}
	for name, lines := range r.header {
		if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok && trailerAllowed(http.CanonicalHeaderKey(name)) {
			fields = append(fields, field{http.CanonicalHeaderKey(name), lines})
		}
	}
	return fields
}

// trailerAllowed reports whether a field may be a trailer: not one that frames, routes or modifies the message (RFC 9110,
// section 6.5.1), nor one of ours.
func trailerAllowed(name string) bool {
	switch name {
	case "", "Host", "Content-Type", "Content-Encoding", "Content-Range", "Cache-Control", "Expect", "Max-Forwards", "Pragma",
		"Range", "Te", "Authorization", "Www-Authenticate", "Set-Cookie", "Vary":
		return false
	}
	return !describesAttempt(name) && !strings.HasPrefix(name, "If-")
}

// deliver sends the answer that was held back.
func (r *recorder) deliver(trailer []field) {
	h := r.client.Header()
	switch {
	case r.truncated(): // the declared length stays: the client can see that something is missing
	case !bodyAllowed(r.status), len(trailer) > 0:
		delete(h, "Content-Length")
	default:
		h["Content-Length"] = []string{strconv.Itoa(len(r.buf.b))}
	}
	r.flowing = true
	send(r.client, r.status, r.buf.b, trailer)
	if r.flushed {
		_ = r.FlushError()
	}
}

// send writes an answer with the trailers after it. A client that is gone is none of its business.
func send(w http.ResponseWriter, status int, body []byte, trailer []field) {
	for _, f := range trailer {
		w.Header().Add("Trailer", f.name)
	}
	w.WriteHeader(status)
	if len(body) > 0 {
		_, _ = w.Write(body)
	}
	setTrailer(w, trailer)
}

func setTrailer(w http.ResponseWriter, trailer []field) {
	for _, f := range trailer {
		w.Header()[f.name] = f.lines
	}
}

// abandon takes back what the handler did to the client's header, for whoever answers in its place.
func (r *recorder) abandon() {
	if r.flowing {
		return
	}
	h := r.client.Header()
	clear(h)
	for name, lines := range r.inherited {
		h[name] = lines
	}
}

// isStream reports whether a media type is that of an answer without an end, or one whose reader wants it as it comes.
func isStream(contentType []string) bool {
	switch media := essence(contentType); media {
	case "text/event-stream", "multipart/x-mixed-replace", "application/x-ndjson", "application/json-seq":
		return true
	default:
		return strings.HasPrefix(media, "application/grpc")
	}
}

// bodyAllowed reports whether an answer with the status has a body (RFC 9110, section 6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
