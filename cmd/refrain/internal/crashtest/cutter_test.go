package crashtest

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A shape is how an upstream frames its answer.
type shape uint8

const (
	sized        shape = iota // Content-Length
	chunked                   // chunks, with a trailer
	empty                     // Content-Length: 0
	hinted                    // a 103 first
	closedJSON                // to the end of the connection; the media type delimits itself
	closedText                // to the end of the connection, and nothing tells where that should be
	shapesNumber              // how many there are
)

// document returns the body of the answer to the key.
func (s shape) document(key string) string {
	switch s {
	case empty:
		return ""
	case closedText:
		return "executed " + key + strings.Repeat(" and paid", 20)
	default:
		return fmt.Sprintf(`{"executed":%q,"padding":%q}`, key, strings.Repeat("x", 200))
	}
}

// answer returns the bytes of the answer to the key.
func (s shape) answer(key string) string {
	const head = "HTTP/1.1 201 Created\r\n"
	doc := s.document(key)
	json := head + "Content-Type: application/json\r\n"
	whole := fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", json, len(doc), doc)
	switch s {
	case chunked:
		half := len(doc) / 2
		head := json + "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
		chunks := fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n", half, doc[:half], len(doc)-half, doc[half:])
		return head + chunks + "0\r\nX-Sum: 7\r\n\r\n"
	case hinted:
		return "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + whole
	case closedJSON:
		return json + "Connection: close\r\n\r\n" + doc
	case closedText:
		return head + "Content-Type: text/plain\r\nConnection: close\r\n\r\n" + doc
	default:
		return whole
	}
}

// A fate is what becomes of one request at the upstream.
type fate struct {
	shape    shape
	readable int  // how many bytes of the request are read before the connection is cut; negative: all
	writable int  // how many bytes of the answer are written before the connection is cut; negative: all
	reset    bool // cut by RST instead of FIN
}

// A record is what the upstream did with one key.
type record struct {
	executions int
	fate       fate // of the last execution
	whole      bool // the answer to it left whole
}

// A cutter is an upstream that executes what it reads to the end, and cuts its connections at random bytes.
type cutter struct {
	listener net.Listener
	served   sync.WaitGroup

	mu       sync.Mutex
	random   *rand.Rand
	kind     bool // no more cuts
	records  map[string]record
	requests int // cut in the request
	answers  int // cut in the answer
	resets   int
}

func startCutter(t *testing.T, random *rand.Rand) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l, random: random, records: make(map[string]record)}
	c.served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.served.Go(func() { c.serve(conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.served.Wait() // the proxy is gone, and its connections with it
	})
	return c
}

// draw decides about the next request of a connection.
func (c *cutter) draw() fate {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := fate{shape: shape(c.random.IntN(int(shapesNumber))), readable: -1, writable: -1}
	if c.kind {
		return f
	}
	switch p := c.random.IntN(10); {
	case p < 3:
		f.readable = c.random.IntN(450) // beyond the request's end: executed, not a byte of the answer
	case p < 8:
		f.writable = c.random.IntN(len(f.shape.answer("k-0000")) + 1)
	}
	f.reset = c.random.IntN(2) == 0
	return f
}

// serve serves a connection until it is cut.
func (c *cutter) serve(conn *net.TCPConn) {
	limited := &limitedReader{conn: conn}
	reader := bufio.NewReader(limited)
	for {
		f := c.draw()
		limited.left = f.readable
		req, err := http.ReadRequest(reader)
		if err == nil {
			_, err = io.Copy(io.Discard, req.Body)
		}
		if err != nil {
			c.cut(conn, f, limited.left == 0)
			return
		}
		if !c.execute(conn, req.Header.Get("Idempotency-Key"), f) {
			return
		}
	}
}

// execute does what the request asks, answers as the fate has it, and reports whether the connection lives on.
func (c *cutter) execute(conn *net.TCPConn, key string, f fate) bool {
	answer := f.shape.answer(key)
	n := len(answer)
	if f.readable >= 0 {
		n = 0
	} else if f.writable >= 0 {
		n = min(n, f.writable)
	}
	whole := n == len(answer)
	c.mu.Lock()
	c.records[key] = record{executions: c.records[key].executions + 1, fate: f, whole: whole}
	if !whole {
		c.answers++
	}
	c.mu.Unlock()
	_, _ = io.WriteString(conn, answer[:n])
	if whole && f.shape != closedJSON && f.shape != closedText {
		return true
	}
	f.reset = f.reset && !whole // a reset may take back bytes that were written
	c.cut(conn, f, false)
	return false
}

// cut ends the connection.
func (c *cutter) cut(conn *net.TCPConn, f fate, inRequest bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if inRequest {
		c.requests++
	}
	if f.reset {
		c.resets++
		_ = conn.SetLinger(0)
	}
	_ = conn.Close()
}

func (c *cutter) record(key string) record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.records[key]
}

// faults returns how many connections were cut so far, and where.
func (c *cutter) faults() (requests, answers, resets int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests, c.answers, c.resets
}

// calm ends the cutting.
func (c *cutter) calm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kind = true
}

// A limitedReader ends after as many bytes as are left, unless that is negative.
type limitedReader struct {
	conn *net.TCPConn
	left int
}

// Read implements io.Reader.
func (r *limitedReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if r.left > 0 {
		p = p[:min(len(p), r.left)]
	}
	_ = r.conn.SetReadDeadline(time.Now().Add(time.Minute)) // no connection outlives the test by much
	n, err := r.conn.Read(p)
	if r.left > 0 {
		r.left -= n
	}
	return n, err
}
