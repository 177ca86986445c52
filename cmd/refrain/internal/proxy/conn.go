package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// maxAnswerHead bounds the status line and header fields of one answer.
const maxAnswerHead = 1 << 20

var errHeadTooLarge = errors.New("the answer's header is larger than 1 MiB")

// A conn is a connection to the upstream.
type conn struct {
	net.Conn
	raw       net.Conn // below TLS
	reader    *bufio.Reader
	headLeft  int // bytes that may still be read while a head is; negative: no limit
	reused    bool
	idleSince time.Time
	sending   chan bool // gets whether all could be sent, if that was not at once
}

func newConn(c, raw net.Conn) *conn {
	uc := &conn{Conn: c, raw: raw}
	uc.reader = bufio.NewReaderSize(headReader{uc}, 4096)
	return uc
}

// headReader reads from the connection and bounds the size of a head.
type headReader struct{ c *conn }

func (r headReader) Read(p []byte) (int, error) {
	c := r.c
	if c.headLeft == 0 {
		return 0, errHeadTooLarge
	}
	if c.headLeft > 0 {
		p = p[:min(len(p), c.headLeft)]
	}
	n, err := c.Conn.Read(p)
	if c.headLeft > 0 {
		c.headLeft -= n
	}
	return n, err
}

// atOnce is how much of a request is sent before anyone looks for its answer: a new socket takes that much from whoever writes,
// however little the other end reads.
const atOnce = copySize

// send begins to send the request. An error tells that not a byte of it left. What is more than fits at once is sent while the
// answer is read: an upstream that answers early may not read the rest (RFC 9112, section 9.3), and one that answers bit by bit
// may read no more before its answer is taken.
func (c *conn) send(ctx context.Context, message []byte) error {
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	n, err := c.Write(message[:min(len(message), atOnce)])
	if n == 0 || n == len(message) {
		return err
	}
	c.sending = make(chan bool, 1)
	go func() {
		if err == nil {
			_, err = c.Write(message[n:])
		}
		c.sending <- err == nil
	}()
	return nil
}

// sent reports whether the whole request has left.
func (c *conn) sent() bool {
	if c.sending == nil {
		return true
	}
	select {
	case all := <-c.sending:
		c.sending = nil
		return all
	default:
		return false
	}
}

// linger is for how long an upstream that has answered may go on reading the request.
const linger = time.Second

// leave gives up the connection. An upstream that has answered and did not say that it closes gets more of a request that is
// being sent, as it may be at work on that.
func (c *conn) leave(answered bool) {
	if !answered || c.sending == nil {
		_ = c.Close()
		return
	}
	_ = c.SetWriteDeadline(time.Now().Add(linger))
	go func() {
		<-c.sending
		_ = c.Close()
	}()
}

// answer reads the head of the final answer to a request with the given method. Interim answers go to interim.
func (c *conn) answer(req *http.Request, interim func(*http.Response)) (*http.Response, error) {
	for {
		c.headLeft = maxAnswerHead
		resp, err := http.ReadResponse(c.reader, req)
		c.headLeft = -1
		if err != nil {
			return nil, unreadable(err)
		}
		switch {
		case resp.StatusCode < 100:
			return nil, errNotHTTP
		case resp.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("the upstream switched protocols unasked")
		case resp.StatusCode >= 200:
			return resp, nil
		case resp.StatusCode != http.StatusContinue: // nobody asked for that one
			interim(resp)
		}
	}
}

// errNotHTTP stands for errors that quote what the upstream sent, which may be a secret.
var errNotHTTP = errors.New("the answer is not valid HTTP/1.1")

// unreadable returns an error that may be logged.
func unreadable(err error) error {
	var network *net.OpError
	switch {
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errHeadTooLarge), errors.As(err, &network):
		return err
	}
	return errNotHTTP
}

// alive reports whether an idle connection is still open with nothing to read on it.
func (c *conn) alive() bool {
	if c.reader.Buffered() > 0 {
		return false
	}
	sys, ok := c.raw.(syscall.Conn)
	if !ok {
		return true
	}
	rc, err := sys.SyscallConn()
	if err != nil {
		return false
	}
	alive := false
	err = rc.Read(func(fd uintptr) bool {
		alive = quiet(fd)
		return true
	})
	return err == nil && alive
}
