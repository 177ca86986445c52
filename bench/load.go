package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// connections is how many keep-alive connections every load uses, one request at a time on each.
const connections = 64

// body is what every request carries.
const body = `{"amount":1999,"currency":"EUR","account":"acct_17","note":"bench"}`

// A target is a server under load.
type target struct {
	name string
	addr string
	path string
	// sign, if not empty, is a header line that the answers of a replay must have.
	sign string
}

// A load asks for one operation after the other on many connections.
type load struct {
	target target
	keys   func() uint64 // the next operation
	until  func() bool   // asked before each request, by all connections
	sign   string        // a header line that every answer must have
}

// A run is what came of a load.
type run struct {
	requests int
	took     time.Duration
	latency  histogram
}

func (r *run) rate() float64 { return float64(r.requests) / r.took.Seconds() }

// run drives the load to its end. The error is the first answer that was not as it should be.
func (l *load) run(ctx context.Context) (run, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all run
	var mu sync.Mutex
	var group sync.WaitGroup
	start := time.Now()
	for range connections {
		group.Go(func() {
			c, err := newCaller(ctx, l)
			if err != nil {
				cancel(err)
				return
			}
			defer c.close()
			for ctx.Err() == nil && l.until() {
				if err := c.call(l.keys()); err != nil {
					cancel(fmt.Errorf("asking %s: %w", l.target.name, err))
					return
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all.requests += c.requests
			all.latency.add(&c.latency)
		})
	}
	group.Wait()
	all.took = time.Since(start)
	return all, context.Cause(ctx)
}

// A caller is one connection.
type caller struct {
	load     *load
	conn     net.Conn
	in       *bufio.Reader
	request  []byte
	key      []byte // the digits of the key inside request
	requests int
	latency  histogram
}

func newCaller(ctx context.Context, l *load) (*caller, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", l.target.addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", l.target.name, err)
	}
	if err := conn.SetDeadline(time.Now().Add(10 * time.Minute)); err != nil {
		return nil, err
	}
	c := &caller{load: l, conn: conn, in: bufio.NewReader(conn)}
	c.request, c.key = newRequest(&l.target)
	return c, nil
}

func (c *caller) close() { _ = c.conn.Close() }

// newRequest returns the bytes of a request and, inside of them, the digits of its key: calling again costs writing those.
func newRequest(t *target) (request, key []byte) {
	head := "POST " + t.path + " HTTP/1.1\r\nHost: " + t.addr +
		"\r\nAuthorization: Bearer bench\r\nContent-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\nIdempotency-Key: 5eb63bbb-e01e-4eed-"
	request = []byte(head + "0000000000000000\r\n\r\n" + body)
	return request, request[len(head) : len(head)+16]
}

const digits = "0123456789abcdef"

func (c *caller) call(key uint64) error {
	for i := range c.key {
		c.key[i] = digits[key>>(60-4*i)&15]
	}
	start := time.Now()
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	if err := c.answer(); err != nil {
		return err
	}
	c.latency.observe(time.Since(start))
	c.requests++
	return nil
}

// answer reads one answer and checks it.
func (c *caller) answer() error {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return c.unexpected(string(line))
	}
	length, signed := -1, c.load.sign == ""
	for {
		line, err = c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if v, ok := header(line, "content-length:"); ok {
			if length, err = strconv.Atoi(string(v)); err != nil {
				return err
			}
		}
		signed = signed || bytes.EqualFold(line, []byte(c.load.sign))
	}
	switch {
	case length < 0:
		return errors.New("an answer without Content-Length")
	case !signed:
		return fmt.Errorf("an answer without %q", c.load.sign)
	}
	_, err = c.in.Discard(length)
	return err
}

func header(line []byte, name string) (value []byte, ok bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name):]), true
}

// unexpected describes an answer that is not a success, with as much of it as has come.
func (c *caller) unexpected(status string) error {
	_ = c.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	rest, _ := io.ReadAll(io.LimitReader(c.in, 2000))
	return fmt.Errorf("got %q\n%s", status, rest)
}

// during returns an until that ends d after it was first asked.
func during(d time.Duration) func() bool {
	var end atomic.Int64
	return func() bool {
		now := time.Now().UnixNano()
		end.CompareAndSwap(0, now+int64(d))
		return now < end.Load()
	}
}

// times returns an until that allows n requests.
func times(n int) func() bool {
	var done atomic.Int64
	return func() bool { return done.Add(1) <= int64(n) }
}

// A sequence counts operations.
type sequence struct{ n atomic.Uint64 }

// fresh returns an operation that was never asked for.
func (s *sequence) fresh() uint64 { return s.n.Add(1) }

// around returns a function that goes round and round through the operations from+1 to from+n.
func around(from uint64, n int) func() uint64 {
	var i atomic.Uint64
	return func() uint64 { return from + 1 + i.Add(1)%uint64(n) }
}
