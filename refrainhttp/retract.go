package refrainhttp

import "net/http"

// Retract takes back what a handler wrote to the ResponseWriter that this package gave it, so that it can answer anew, and
// reports whether it could: not if some of the answer has gone to the client, and not for any other ResponseWriter.
func Retract(w http.ResponseWriter) bool {
	r, ok := w.(*recorder)
	if !ok || r.flowing {
		return false
	}
	h := r.client.Header()
	clear(h)
	copyHeader(h, r.inherited, nil)
	clear(r.header)
	copyHeader(r.header, r.inherited, nil)
	r.status, r.length, r.written, r.flushed = 0, -1, 0, false
	r.buf.b = r.buf.b[:0]
	return true
}
