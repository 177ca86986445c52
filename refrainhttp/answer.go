package refrainhttp

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// finish completes an answer whose handler has returned and returns it.
func (r *recorder) finish() capture {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	h := r.client.Header()
	return capture{
		status: r.status, header: h, inherited: r.inherited,
		trailer: trailerOf(r.header, h["Trailer"]), body: r.buf.b, omitted: r.flowing,
		truncated: r.short(),
	}
}

// short reports whether the handler wrote less than it declared.
func (r *recorder) short() bool {
	return r.length >= 0 && r.written < r.length && bodyAllowed(r.status)
}

// deliver sends the answer that was held back.
func (r *recorder) deliver(c *capture) {
	h := c.header
	switch {
	case r.short(): // the declared length stays: the client can see that something is missing
	case !bodyAllowed(c.status), len(c.trailer) > 0:
		delete(h, "Content-Length")
	default:
		r.line[0] = strconv.Itoa(len(c.body))
		h["Content-Length"] = r.line[:]
	}
	r.flowing = true
	send(r.client, c.status, c.body, c.trailer)
	if r.flushed {
		_ = r.FlushError()
	}
}

// end completes an answer that flowed: its trailers, with the prefix that declares them in time.
func (r *recorder) end(c *capture) {
	for _, f := range c.trailer {
		c.header[http.TrailerPrefix+f.name] = f.lines
	}
}

// abandon takes back what the handler did to the client's header, for whoever answers in its place.
func (r *recorder) abandon() {
	if r.flowing {
		return
	}
	h := r.client.Header()
	clear(h)
	maps.Copy(h, r.inherited)
}

// IsStream reports whether the header is that of an answer without an end, or one whose reader wants it as it comes, by
// its media type. Such an answer is not kept: it flows to the client of the first request.
func IsStream(h http.Header) bool {
	switch media := essence(h["Content-Type"]); media {
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
