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
// ReadTimeout would cut every large upload, and ends the context of requests that take longer than it to answer.
func paced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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

// pacedConn is a connection whose peer must take what is written. http.Server's WriteTimeout would count the time of the
// execution too.
type pacedConn struct{ net.Conn }

func (c pacedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(allowance(int64(len(p))))); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
