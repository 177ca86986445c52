package proxy

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// recalling answers duplicates on a connection before the HTTP server sees them: a retry storm of one operation then costs
// a read, a look into memory and a write each. Anything out of the ordinary is left to the server.
type recalling struct {
	from   refrainhttp.Recaller
	idle   time.Duration // how long the connection may be idle after an answer
	remote string
	source bytes.Reader
	reader *bufio.Reader
	writer memoryWriter
}

func newRecalling(from refrainhttp.Recaller, idle time.Duration, remote string) *recalling {
	return &recalling{from: from, idle: idle, remote: remote, reader: bufio.NewReaderSize(nil, 16)}
}

// answer returns the whole answer to what b holds, if that is just one request and it is answered from memory.
func (c *recalling) answer(b []byte) ([]byte, bool) {
	head, body, whole := bytes.Cut(b, []byte("\r\n\r\n"))
	if !whole || !c.from.MayRecall(head) || hasControl(head) {
		return nil, false
	}
	c.source.Reset(b)
	c.reader.Reset(&c.source)
	r, err := http.ReadRequest(c.reader)
	if err != nil || !ordinary(r) || r.ContentLength != int64(len(body)) {
		return nil, false
	}
	r.RemoteAddr = c.remote
	c.writer.reset()
	if !c.from.ServeRecalled(&c.writer, r, body) {
		return nil, false
	}
	return c.writer.wire(), true
}

// hasControl reports whether a head has bytes that the HTTP server refuses, or may.
func hasControl(head []byte) bool {
	for _, c := range head {
		if c < ' ' && c != '\r' && c != '\n' || c == 0x7f {
			return true
		}
	}
	return false
}

// ordinary reports whether a request asks nothing of its connection.
func ordinary(r *http.Request) bool {
	for _, name := range [...]string{"Expect", "Upgrade", "Te", "Trailer"} {
		if len(r.Header[name]) > 0 {
			return false
		}
	}
	for _, v := range r.Header["Connection"] {
		if !strings.EqualFold(v, "keep-alive") {
			return false
		}
	}
	return r.ProtoMajor == 1 && r.ProtoMinor == 1 && r.Host != "" && r.URL.Host == "" && len(r.TransferEncoding) == 0
}

// A memoryWriter is an http.ResponseWriter that keeps the answer.
type memoryWriter struct {
	header http.Header
	status int
	body   []byte
	out    bytes.Buffer
}

func (w *memoryWriter) reset() {
	if w.header == nil {
		w.header = make(http.Header)
	}
	clear(w.header)
	w.status, w.body = 0, w.body[:0]
}

// Header implements http.ResponseWriter.
func (w *memoryWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *memoryWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *memoryWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, p...)
	return len(p), nil
}

// wire returns the answer as it is sent, valid until the next.
func (w *memoryWriter) wire() []byte {
	w.out.Reset()
	b := append(w.out.AvailableBuffer(), "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(w.status), 10)
	b = append(append(b, ' '), http.StatusText(w.status)...)
	b = append(b, "\r\nDate: "...)
	b = time.Now().UTC().AppendFormat(b, http.TimeFormat)
	b = append(b, "\r\n"...)
	w.out.Write(b)
	delete(w.header, "Date")
	_ = w.header.Write(&w.out) // to memory
	w.out.WriteString("\r\n")
	w.out.Write(w.body)
	return w.out.Bytes()
}
