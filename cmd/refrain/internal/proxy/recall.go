package proxy

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// recalling answers duplicates on a connection before the HTTP server sees them: a retry storm of one operation then costs
// a read, a look into memory and a write each. Anything out of the ordinary is left to the server.
type recalling struct {
	strictListener
	remote string
	source bytes.Reader
	reader *bufio.Reader
}

func newRecalling(l strictListener, remote string) *recalling {
	return &recalling{strictListener: l, remote: remote, reader: bufio.NewReaderSize(nil, 16)}
}

// answer returns the whole answer to what b holds, if that is just one request and it is answered from memory.
func (c *recalling) answer(b []byte) (*memoryWriter, bool) {
	head, body, whole := bytes.Cut(b, []byte("\r\n\r\n"))
	if !whole || !c.recall.MayRecall(head) || !plainHead(head) {
		return nil, false
	}
	c.source.Reset(b)
	c.reader.Reset(&c.source)
	r, err := http.ReadRequest(c.reader)
	if err != nil || !ordinary(r) || r.ContentLength != int64(len(body)) {
		return nil, false
	}
	r.RemoteAddr = c.remote
	w := c.writers.Get().(*memoryWriter)
	if !c.recall.ServeRecalled(w, r, body) {
		c.done(w)
		return nil, false
	}
	return w, true
}

// maxPooled bounds what a writer that nobody uses may hold on to.
const maxPooled = 64 << 10

// done takes back a writer whose answer was sent.
func (c *recalling) done(w *memoryWriter) {
	if cap(w.body)+w.out.Cap() > maxPooled {
		return
	}
	w.reset()
	c.writers.Put(w)
}

// plainHead reports whether nobody could read the head in another way: a request line of three parts, then lines that end in
// CRLF, each a name that is a token, a colon, and a value without control bytes; and one Host that is a plain name.
func plainHead(head []byte) bool {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	if bytes.Count(line, []byte(" ")) != 2 || hasControl(line) {
		return false
	}
	hosts := 0
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !isToken(name) || hasControl(value) {
			return false
		}
		if bytes.EqualFold(name, []byte("Host")) {
			if hosts++; !isPlainHost(bytes.TrimSpace(value)) {
				return false
			}
		}
	}
	return hosts == 1
}

func hasControl(b []byte) bool {
	return bytes.ContainsFunc(b, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
}

func isToken(b []byte) bool {
	return len(b) > 0 && !bytes.ContainsFunc(b, func(c rune) bool { return !isAlphanumeric(c) && c != '-' && c != '_' })
}

func isPlainHost(b []byte) bool {
	return len(b) > 0 && !bytes.ContainsFunc(b, func(c rune) bool {
		return !isAlphanumeric(c) && c != '.' && c != '-' && c != ':' && c != '[' && c != ']'
	})
}

func isAlphanumeric(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
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
