package proxy

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"time"
)

// A reply is an http.ResponseWriter that keeps the answer, with what it takes to read the request.
type reply struct {
	source bytes.Reader
	reader *bufio.Reader

	header http.Header
	status int
	body   []byte

	fields bytes.Buffer
	wire   []byte // as it is sent
	date   int    // where in it the date is
}

func newReply() *reply {
	return &reply{reader: bufio.NewReaderSize(nil, 1024), header: make(http.Header)}
}

// maxPooled bounds what a reply that nobody uses may hold on to.
const maxPooled = 64 << 10

// reset reports whether the reply may be used again.
func (r *reply) reset() bool {
	clear(r.header)
	r.status, r.body = 0, r.body[:0]
	return cap(r.body)+r.fields.Cap()+cap(r.wire) <= maxPooled
}

// Header implements http.ResponseWriter.
func (r *reply) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *reply) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

// Write implements http.ResponseWriter.
func (r *reply) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	r.body = append(r.body, p...)
	return len(p), nil
}

// render puts what was written into the form in which it is sent.
func (r *reply) render() {
	b := r.wire[:0]
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(append(b, ' '), reason(r.status)...)
	b = append(b, "\r\nDate: "...)
	r.date = len(b)
	b = append(b, http.TimeFormat+"\r\n"...) // as long as any date
	delete(r.header, "Date")
	r.fields.Reset()
	_ = r.header.Write(&r.fields) // to memory
	b = append(b, r.fields.Bytes()...)
	b = append(b, "\r\n"...)
	b = append(b, r.body...)
	r.wire = b
	r.stamp()
}

// reason returns what net/http's server writes behind a status.
func reason(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "status code " + strconv.Itoa(status)
}

// repeat takes an answer that was rendered before.
func (r *reply) repeat(known *repeat) {
	r.wire, r.date = append(r.wire[:0], known.answer...), known.date
	r.stamp()
}

// stamp writes the date in its place.
func (r *reply) stamp() { time.Now().UTC().AppendFormat(r.wire[r.date:r.date], http.TimeFormat) }
