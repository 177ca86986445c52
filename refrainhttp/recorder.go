package refrainhttp

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// A recorder is the ResponseWriter of a protected execution. It holds the answer back in memory until it is recorded.
// One that cannot be kept, because it is a stream or over the limit, flows to the client as it comes once its gate let
// it.
//
// It can flush, set deadlines and read from a reader; it cannot be hijacked.
type recorder struct {
	client http.ResponseWriter
	gate   gate
	limit  int64
	buf    *buffer
	chunks *buffers

	header    http.Header // the handler's
	inherited http.Header // what the client's header held before the handler ran, nil when that was nothing
	status    int         // zero until the handler wrote the header; then client.Header() is the answer's
	length    int64       // the declared Content-Length, or -1
	written   int64       // what the handler wrote of the body

	lines   [4]string // of the answer's header, if these are enough
	line    [1]string // of the Content-Length that the client gets
	flowing bool      // the client's header is sent; what comes is passed on
	gone    bool      // the client is: what comes is dropped
	flushed bool      // the handler asked for a flush while the answer was held back
}

// A gate settles an execution before its answer may flow.
type gate interface{ beforeFlow() }

func (r *recorder) start(client http.ResponseWriter, limit int64) {
	r.client, r.limit, r.length = client, limit, -1
	h := client.Header()
	if len(h) == 0 {
		r.header = make(http.Header)
		return
	}
	r.inherited = maps.Clone(h)
	r.header = h.Clone()
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter. Informational answers pass at once and are not recorded.
func (r *recorder) WriteHeader(status int) {
	switch {
	case status < 100 || status > 999:
		panic(fmt.Sprintf("invalid WriteHeader code %d", status)) // as net/http does
	case r.status != 0:
		return
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		r.inform(status)
		return
	case status == http.StatusSwitchingProtocols:
		status = http.StatusInternalServerError // there is no connection to hand over
	}
	r.status = status
	r.freeze()
}

// inform sends an informational answer with the header as it stands.
func (r *recorder) inform(status int) {
	h := r.client.Header()
	was := maps.Clone(h)
	clear(h)
	copyHeader(h, r.header, nil)
	r.client.WriteHeader(status)
	clear(h)
	maps.Copy(h, was)
}

// freeze takes the header as the answer's: what the handler changes later is not part of it, but for trailers.
func (r *recorder) freeze() {
	h := r.client.Header()
	clear(h)
	copyHeader(h, r.header, r.lines[:0])
	delete(h, "Transfer-Encoding") // framing is made anew
	if v := h["Content-Length"]; len(v) > 0 {
		if n, err := strconv.ParseInt(v[0], 10, 64); err == nil && n >= 0 {
			r.length = n
		} else {
			delete(h, "Content-Length") // as net/http does
		}
	}
	if IsStream(h) || r.length > r.limit && bodyAllowed(r.status) {
		r.flow()
	}
}

// Write implements http.ResponseWriter. While the answer is held back or its client is gone, it does not fail for them.
func (r *recorder) Write(p []byte) (int, error) {
	if err := r.accept(len(p)); err != nil {
		return 0, err
	}
	if r.flowing {
		r.pass(p)
	} else {
		r.buf.b = append(r.buf.b, p...)
	}
	return len(p), nil
}

// WriteString implements io.StringWriter.
func (r *recorder) WriteString(s string) (int, error) {
	if err := r.accept(len(s)); err != nil {
		return 0, err
	}
	if r.flowing {
		r.pass([]byte(s))
	} else {
		r.buf.b = append(r.buf.b, s...)
	}
	return len(s), nil
}

// accept prepares for n bytes more of the body.
func (r *recorder) accept(n int) error {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	switch {
	case n == 0:
		return nil
	case !bodyAllowed(r.status):
		return http.ErrBodyNotAllowed
	case r.length >= 0 && r.written+int64(n) > r.length:
		return http.ErrContentLength
	}
	r.written += int64(n)
	if !r.flowing && r.written > r.limit {
		r.flow()
	}
	return nil
}

// ReadFrom implements io.ReaderFrom: a copy into the recorder needs no buffer of its own.
func (r *recorder) ReadFrom(src io.Reader) (n int64, err error) {
	chunk := r.chunks.get()
	defer r.chunks.put(chunk)
	return io.CopyBuffer(struct{ io.Writer }{r}, src, chunk.b[:cap(chunk.b)])
}

// Flush implements http.Flusher. An answer that is held back is flushed when it is recorded.
func (r *recorder) Flush() { _ = r.FlushError() }

// FlushError is Flush for http.ResponseController.
func (r *recorder) FlushError() error {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	if !r.flowing {
		r.flushed = true
		return nil
	}
	if !r.gone {
		r.gone = http.NewResponseController(r.client).Flush() != nil
	}
	return nil
}

// SetReadDeadline is for http.ResponseController. The request's body is read already, so nothing waits for it.
func (r *recorder) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(r.client).SetReadDeadline(t)
}

// SetWriteDeadline is for http.ResponseController.
func (r *recorder) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(r.client).SetWriteDeadline(t)
}

// EnableFullDuplex is for http.ResponseController. The request's body is read already.
func (r *recorder) EnableFullDuplex() error { return nil }

// flow opens the gate and lets the answer go as it comes from now on.
func (r *recorder) flow() {
	r.gate.beforeFlow()
	r.flowing = true
	r.client.WriteHeader(r.status)
	if len(r.buf.b) > 0 {
		r.pass(r.buf.b)
		r.buf.b = r.buf.b[:0]
	}
	if r.flushed {
		_ = r.FlushError()
	}
}

// pass gives bytes to the client, or drops them when it is gone: that must not stop the handler.
func (r *recorder) pass(p []byte) {
	if r.gone {
		return
	}
	_, err := r.client.Write(p)
	r.gone = err != nil
}
