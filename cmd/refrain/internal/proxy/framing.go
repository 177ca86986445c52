package proxy

import (
	"bytes"
	"strconv"
)

// A framing knows where in a stream of HTTP/1 requests the next head begins. A stream that it cannot follow is refused: what
// follows could be taken for anything.
type framing struct {
	state   framingState
	line    []byte // the start of a line whose end is yet to come
	skip    int64  // bytes of a body or chunk that are yet to come
	greeted int    // bytes of the preface that came
	old     bool   // the request is HTTP/1.0, which knows no Transfer-Encoding
	length  bool   // the head has a Content-Length
	chunked bool   // the head has a Transfer-Encoding
}

type framingState uint8

const (
	atStart framingState = iota // of the connection
	inRequestLine
	inFields
	inBody
	inChunkSize
	inChunk
	inTrailer
	http2 // another framing
)

// preface is what connections of HTTP/2 begin with (RFC 9113, section 3.4). To the server its first line alone, or later, is a
// request like any other.
const (
	prefaceLine = "PRI * HTTP/2.0"
	preface     = prefaceLine + "\r\n\r\nSM\r\n\r\n"
)

// between reports whether the next byte begins a request.
func (f *framing) between() bool {
	return f.state == inRequestLine && len(f.line) == 0 || f.state == atStart && f.greeted == 0
}

// maxKept bounds the memory that an idle connection holds on to.
const maxKept = 4 << 10

// maxLine is more than net/http reads of a head.
const maxLine = 2 << 20

// follow reads b and reports whether all that ended in it was unambiguous.
func (f *framing) follow(b []byte) bool {
	if f.state == atStart {
		if b = f.greet(b); f.state == atStart {
			return len(b) == 0
		}
	}
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

// greet follows the preface, and returns what is left when something else is seen. What breaks off behind its first line is
// neither.
func (f *framing) greet(b []byte) []byte {
	for len(b) > 0 && b[0] == preface[f.greeted] {
		b = b[1:]
		if f.greeted++; f.greeted == len(preface) {
			f.state = http2
			return nil
		}
	}
	if len(b) > 0 && f.greeted < len(prefaceLine) {
		f.state, f.line = inRequestLine, append(f.line, preface[:f.greeted]...)
	}
	return b
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
		if len(line) == 0 {
			return true // old clients end a body with it; the server takes it there, and nowhere else
		}
		*f = framing{state: inFields, line: f.line, old: bytes.HasSuffix(line, []byte("HTTP/1.0"))}
		return line[0] != '\r' && string(line) != prefaceLine // the server may take the one for an empty line
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
