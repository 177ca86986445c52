package refrainhttp

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
)

// A witness is the ResponseWriter of an observed execution: everything passes at once, and a copy is kept up to the
// limit.
type witness struct {
	client    http.ResponseWriter
	limit     int64
	buf       *buffer
	inherited http.Header // as for a recorder
	header    http.Header // the answer's, after its status is written
	status    int
	length    int64
	written   int64
	over      bool // the copy is given up
	hijacked  bool
	cut       bool // the client is gone: the handler may have stopped
	chosen    choice
}

func newWitness(client http.ResponseWriter, limit int64, buf *buffer) *witness {
	return &witness{client: client, limit: limit, buf: buf, inherited: maps.Clone(client.Header()), length: -1}
}

// Unwrap is for http.ResponseController.
func (w *witness) Unwrap() http.ResponseWriter { return w.client }

// Header implements http.ResponseWriter.
func (w *witness) Header() http.Header { return w.client.Header() }

// WriteHeader implements http.ResponseWriter.
func (w *witness) WriteHeader(status int) {
	w.note(status)
	w.client.WriteHeader(status)
}

// note remembers the answer's status and header.
func (w *witness) note(status int) {
	if w.status != 0 || status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	w.status, w.header = status, w.client.Header().Clone()
	if w.header == nil {
		w.header = http.Header{}
	}
	if v := w.header["Content-Length"]; len(v) > 0 {
		if n, err := strconv.ParseInt(v[0], 10, 64); err == nil && n >= 0 {
			w.length = n
		}
	}
}

// Write implements http.ResponseWriter.
func (w *witness) Write(p []byte) (int, error) {
	w.note(http.StatusOK)
	n, err := w.client.Write(p)
	w.cut = w.cut || err != nil
	w.written += int64(n)
	if w.over = w.over || w.written > w.limit; !w.over {
		w.buf.b = append(w.buf.b, p[:n]...)
	}
	return n, err
}

// ReadFrom implements io.ReaderFrom: the copy needs the bytes to pass by.
func (w *witness) ReadFrom(src io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{w}, src)
}

// Flush implements http.Flusher.
func (w *witness) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *witness) FlushError() error {
	w.note(http.StatusOK)
	return http.NewResponseController(w.client).Flush()
}

// Hijack implements http.Hijacker.
func (w *witness) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.client).Hijack()
	w.hijacked = w.hijacked || err == nil
	return c, rw, err
}

// capture returns the answer as far as it came.
func (w *witness) capture() capture {
	w.note(http.StatusOK)
	c := capture{
		status: w.status, header: w.header, inherited: w.inherited, trailer: trailerOf(w.Header(), w.header["Trailer"]),
		body: w.buf.b, omitted: w.over || IsStream(w.header),
		truncated: w.cut || w.hijacked || w.chosen.incomplete.Load() ||
			w.length >= 0 && w.written < w.length && bodyAllowed(w.status),
	}
	if t := sniff(c.header, c.body); t != "" {
		c.header["Content-Type"] = []string{t}
	}
	return c
}
