package gateway

import (
	"io"
	"net"
	"net/http"
	"time"
)

const (
	// bodyGrace is how long a request's body may take in any case, and an answer's write.
	bodyGrace = 30 * time.Second
	// minRate is how many bytes a second a client must take or give beyond the grace.
	minRate = 16 << 10
	// paceStep is after how many bytes of a body its deadline is moved.
	paceStep = 64 << 10
)

// allowance returns how long n bytes may take.
func allowance(n int64) time.Duration {
	return bodyGrace + time.Duration(n)*time.Second/minRate
}

// paced returns a handler whose requests' bodies must keep coming, also those that it leaves to the server to read. http.Server's
// ReadTimeout would cut every large upload, and ends the context of requests that take longer than it to answer. What it answers
// over HTTP/2 must be taken; what it answers over HTTP/1, the connection sees to.
func paced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 {
			stream := pacedStream{w, http.NewResponseController(w)}
			stream.allow(farOff)
			defer stream.allow(bodyGrace) // for what the server writes when the handler has returned
			w = stream
		}
		if r.Body != nil && r.Body != http.NoBody {
			b := &pacedBody{ReadCloser: r.Body, conn: http.NewResponseController(w), start: time.Now()}
			b.setDeadline(b.start.Add(bodyGrace))
			r.Body = b
		}
		next.ServeHTTP(w, r)
	})
}

// A pacedBody moves the connection's deadline while bytes come, and lifts it when the body ends. One that fails leaves it: the
// server reads on, to find the next request.
type pacedBody struct {
	io.ReadCloser
	conn     *http.ResponseController
	start    time.Time
	got      int64
	extended int64 // bytes for which the deadline was last moved
}

func (b *pacedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.got += int64(n)
	switch {
	case err == io.EOF:
		b.setDeadline(time.Time{})
	case err == nil && b.got-b.extended >= paceStep:
		b.extended = b.got
		b.setDeadline(b.start.Add(allowance(b.got)))
	}
	return n, err
}

// setDeadline sets the deadline for reading. Where a connection has none, as one taken over, there is nothing to set.
func (b *pacedBody) setDeadline(t time.Time) { _ = b.conn.SetReadDeadline(t) }

// A pacedStream writes to a stream of HTTP/2 whose peer must take what is written. The connection does not see that one of its
// streams is not read.
type pacedStream struct {
	http.ResponseWriter
	conn *http.ResponseController
}

// farOff is for when nothing is written. A stream without a deadline would get its first one also when it has ended, and be
// reset for it.
const farOff = 365 * 24 * time.Hour

func (s pacedStream) Write(p []byte) (int, error) {
	s.allow(allowance(int64(len(p))))
	defer s.allow(farOff)
	return s.ResponseWriter.Write(p)
}

// FlushError is for http.ResponseController.
func (s pacedStream) FlushError() error {
	s.allow(bodyGrace)
	defer s.allow(farOff)
	return s.conn.Flush()
}

// Unwrap is for http.ResponseController.
func (s pacedStream) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s pacedStream) allow(d time.Duration) { _ = s.conn.SetWriteDeadline(time.Now().Add(d)) } // a stream always can

// pacedConn is a connection whose peer must take what is written. http.Server's WriteTimeout would count the time of the
// execution too.
type pacedConn struct{ net.Conn }

func (c pacedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(allowance(int64(len(p))))); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
