package proxy

import (
	"errors"
	"io"
	"net"
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
	refused  atomic.Bool
}

// Hijacked says that what is read from now on is no HTTP/1 any more.
func (c *StrictConn) Hijacked() { c.hijacked.Store(true) }

const refusal = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n" +
	"Content-Length: 53\r\n\r\n400 Bad Request: where this request ends is ambiguous"

// serverRead is less than net/http's server reads at a time while it waits for a request. It reads single bytes while a
// handler runs, to see whether the client is still there.
const serverRead = 1024

// Read reads, and ends the connection where a request is ambiguous: its head is withheld from the server. There is nothing to
// read or write behind that, as the server may not care: it takes part of a line before an error for the line.
func (c *StrictConn) Read(p []byte) (int, error) {
	for !c.refused.Load() {
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
		c.refused.Store(true)
		_, _ = io.WriteString(c.Conn, refusal)
	}
	return 0, silent(errAmbiguous)
}

// Write writes what the server answers.
func (c *StrictConn) Write(p []byte) (int, error) {
	if c.refused.Load() {
		return 0, errAmbiguous
	}
	return c.Conn.Write(p)
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
