package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// StrictListener returns a listener whose connections refuse requests that have both a Content-Length and a
// Transfer-Encoding, the stuff that request smuggling is made of. RFC 9112, section 6.3, lets a server choose the
// Transfer-Encoding, which net/http does without a trace.
//
// Its connections answer themselves what the memory in force, if there is one, can, and may then be idle for as long as the
// server's.
func StrictListener(l net.Listener, memory func() *Memory, idle time.Duration) net.Listener {
	return strictListener{l, memory, idle}
}

type strictListener struct {
	net.Listener
	memory func() *Memory
	idle   time.Duration
}

func (l strictListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &StrictConn{Conn: c, memory: l.memory, idle: l.idle}, nil
}

// A StrictConn follows the requests that are read from it, from head to head.
type StrictConn struct {
	net.Conn
	framing  framing
	memory   func() *Memory
	idle     time.Duration
	hijacked atomic.Bool
}

// Hijacked says that what is read from now on is no HTTP/1 any more.
func (c *StrictConn) Hijacked() { c.hijacked.Store(true) }

const refusal = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n" +
	"Content-Length: 53\r\n\r\n400 Bad Request: where this request ends is ambiguous"

// serverRead is less than net/http's server reads at a time while it waits for a request. It reads single bytes while a
// handler runs, to see whether the client is still there.
const serverRead = 1024

// Read reads, and ends the connection where a request is ambiguous: its head is withheld from the server.
func (c *StrictConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if n > 0 && err == nil && len(p) >= serverRead {
			answered, err := c.answer(p[:n])
			if err != nil {
				return 0, silent(err)
			}
			if answered {
				continue
			}
		}
		if c.hijacked.Load() || c.framing.follow(p[:n]) {
			return n, err
		}
		_, _ = io.WriteString(c.Conn, refusal)
		return 0, silent(errAmbiguous)
	}
}

// silent returns an error to which the server adds no answer of its own.
func silent(err error) error { return &net.OpError{Op: "read", Net: "tcp", Err: err} }

var errAmbiguous = errors.New("ambiguous framing")

// answer answers what the server was about to read, if it is a whole request between two others and can be recalled. After an
// error part of the answer may be out, and nothing may follow it.
func (c *StrictConn) answer(b []byte) (bool, error) {
	if c.memory == nil || !c.framing.between() || c.hijacked.Load() {
		return false, nil
	}
	m := c.memory()
	r, ok := m.answer(b)
	if !ok {
		return false, nil
	}
	defer m.done(r)
	if _, err := c.Conn.Write(r.wire); err != nil {
		return false, err
	}
	return true, c.SetReadDeadline(time.Now().Add(c.idle))
}

// A framing knows where in a stream of HTTP/1 requests the next head begins. A stream that it cannot follow is refused: what
// follows could be taken for anything.
type framing struct {
	state   framingState
	line    []byte // the start of a line whose end is yet to come
	skip    int64  // bytes of a body or chunk that are yet to come
	old     bool   // the request is HTTP/1.0, which knows no Transfer-Encoding
	length  bool   // the head has a Content-Length
	chunked bool   // the head has a Transfer-Encoding
}

type framingState uint8

const (
	inRequestLine framingState = iota
	inFields
	inBody
	inChunkSize
	inChunk
	inTrailer
	http2 // another framing
)

// between reports whether the next byte begins a request.
func (f *framing) between() bool { return f.state == inRequestLine && len(f.line) == 0 }

// maxKept bounds the memory that an idle connection holds on to.
const maxKept = 4 << 10

// maxLine is more than net/http reads of a head.
const maxLine = 2 << 20

// follow reads b and reports whether all that ended in it was unambiguous.
func (f *framing) follow(b []byte) bool {
	for len(b) > 0 && f.state != http2 {
		if f.state == inBody || f.state == inChunk {
			n := min(int64(len(b)), f.skip)
			b, f.skip = b[n:], f.skip-n
			if f.skip == 0 {
				f.bodyEnds()
			}
			continue
		}
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			f.line = append(f.line, b...)
			return len(f.line) <= maxLine
		}
		line := b[:end]
		if len(f.line) > 0 {
			f.line = append(f.line, line...)
			line = f.line
		}
		line, crlf := bytes.CutSuffix(line, []byte("\r"))
		if !crlf && (f.state == inChunkSize || f.state == inTrailer) || !f.lineEnds(line) {
			return false // of a chunked body the server would read on at a bare LF
		}
		if f.line = f.line[:0]; cap(f.line) > maxKept {
			f.line = nil
		}
		b = b[end+1:]
	}
	return true
}

func (f *framing) bodyEnds() {
	if f.state == inBody {
		f.state = inRequestLine
		return
	}
	f.state = inChunkSize
}

// lineEnds takes one line without its end.
func (f *framing) lineEnds(line []byte) bool {
	switch f.state {
	case inRequestLine:
		*f = framing{state: inFields, line: f.line, old: bytes.HasSuffix(line, []byte("HTTP/1.0"))}
		if string(line) == "PRI * HTTP/2.0" { // anything less is a request like any
			f.state = http2
		}
		return len(line) > 0
	case inFields:
		if len(line) == 0 {
			return f.headEnds()
		}
		f.field(line)
	case inChunkSize:
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 62)
		if err != nil {
			return false
		}
		f.state, f.skip = inChunk, int64(n)+2 // and the line end behind it
		if n == 0 {
			f.state = inTrailer
		}
	case inTrailer:
		if len(line) == 0 {
			f.state = inRequestLine
		}
	}
	return true
}

func (f *framing) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 63)
		f.length, f.skip = true, int64(n)
		if err != nil {
			f.skip = -1
		}
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		f.chunked = true
	}
}

func (f *framing) headEnds() bool {
	switch {
	case f.chunked && (f.length || f.old), f.skip < 0:
		return false
	case f.chunked:
		f.state = inChunkSize
	case f.skip > 0:
		f.state = inBody
	default:
		f.state = inRequestLine
	}
	return true
}
