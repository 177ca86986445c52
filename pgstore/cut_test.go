package pgstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// A cutter stands between a store and its server. When it is armed it lets the next call of a function pass, and so much of the
// answer, and then ends the connection.
type cutter struct {
	address string
	server  string

	mu      sync.Mutex
	armed   bool
	at      position
	cut     int // how often it has cut
	calls   int // of functions, all in all
	cancels int // requests to cancel
}

// A position in an answer is so many bytes behind the beginning of a message, counted from zero.
type position struct{ message, behind int }

func newCutter(t *testing.T, server string) *cutter {
	t.Helper()
	c := &cutter{server: server}
	c.address = servertest.Relay(t, c.serve)
	return c
}

// through returns the server's URL with the cutter's address.
func (c *cutter) through(url string) string {
	return strings.Replace(url, c.server, c.address, 1)
}

func (c *cutter) arm(at position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed, c.at, c.calls = true, at, 0
}

// disarm reports how many calls there were since it was armed, and whether it has cut.
func (c *cutter) disarm() (calls int, cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cut = !c.armed
	c.armed = false
	return c.calls, cut
}

func (c *cutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	var called sync.Mutex
	calls := 0
	go func() {
		defer server.Close()
		b := make([]byte, 1<<20)
		for {
			n, err := client.Read(b)
			c.mu.Lock()
			if n >= 8 && binary.BigEndian.Uint32(b[4:]) == 80877102 {
				c.cancels++
			}
			if bytes.Contains(b[:n], []byte("SELECT \"store_")) {
				c.calls++
				called.Lock()
				calls++
				called.Unlock()
			}
			c.mu.Unlock()
			if _, e := server.Write(b[:n]); err != nil || e != nil {
				return
			}
		}
	}()
	c.answer(client, server, func() bool {
		called.Lock()
		defer called.Unlock()
		return calls > 0
	})
}

// answer passes the messages of the server on, until one is cut.
func (c *cutter) answer(client, server net.Conn, called func() bool) {
	for n := -1; ; {
		message, err := readMessage(server)
		if err != nil {
			return
		}
		if called() {
			n++
		}
		c.mu.Lock()
		here := c.armed && n >= 0 && n == c.at.message
		if here {
			c.armed = false
			c.cut++
			message = message[:min(c.at.behind, len(message))]
		}
		c.mu.Unlock()
		if _, err := client.Write(message); err != nil || here {
			return
		}
		if message[0] == 'Z' { // ready for the next
			n = -1
		}
	}
}

func readMessage(r io.Reader) ([]byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err := io.ReadFull(r, body)
	return append(head, body...), err
}

// messages are those of an answer: the statement is parsed, bound and described, then come the row, its end, and that the
// transaction is over. What comes behind is no part of it.
const messages = 6

// steps are the calls whose answer is lost. Each returns the call that it is about.
var steps = map[string]func(t *testing.T, s, direct *Store, c *refrain.Claim) func(context.Context) error{
	"claim": func(_ *testing.T, s, _ *Store, c *refrain.Claim) func(context.Context) error {
		return func(ctx context.Context) error { _, err := s.Claim(ctx, *c); return err }
	},
	"finish": func(t *testing.T, s, direct *Store, c *refrain.Claim) func(context.Context) error {
		claims(t, direct, *c, refrain.Run)
		return func(ctx context.Context) error { _, err := s.Settle(ctx, finish(c, "paid")); return err }
	},
	"release": func(t *testing.T, s, direct *Store, c *refrain.Claim) func(context.Context) error {
		claims(t, direct, *c, refrain.Run)
		return func(ctx context.Context) error {
			_, err := s.Settle(ctx, refrain.Settlement{ID: c.ID, Token: c.Token, Ending: refrain.Released})
			return err
		}
	},
	"renew": func(t *testing.T, s, direct *Store, c *refrain.Claim) func(context.Context) error {
		claims(t, direct, *c, refrain.Run)
		return func(ctx context.Context) error {
			return s.Renew(ctx, refrain.Renewal{ID: c.ID, Token: c.Token, Lease: time.Hour})
		}
	},
	"replay": func(t *testing.T, s, direct *Store, c *refrain.Claim) func(context.Context) error {
		*c = done(t, direct, "paid")
		return func(ctx context.Context) error { _, err := s.Claim(ctx, again(*c)); return err }
	},
	"get": func(t *testing.T, s, direct *Store, c *refrain.Claim) func(context.Context) error {
		*c = done(t, direct, "paid")
		return func(ctx context.Context) error { _, err := s.Get(ctx, c.ID); return err }
	},
}

// TestLostAnswers cuts the answers to every kind of call at every message and beside it, that of COMMIT among them. The caller
// hears that the store is unavailable, the server got the call once, and whoever repeats it finds himself: nothing runs twice,
// no outcome is lost.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	server := url[strings.Index(url, "@")+1 : strings.LastIndex(url, "/")]
	proxy := newCutter(t, server)
	s := openStore(t, proxy.through(url), Config{Schema: schema, Writers: 1})
	direct := openStore(t, url, Config{Schema: schema})
	for name, step := range steps {
		for message := range messages {
			for _, behind := range []int{0, 1, 5} {
				c := newClaim()
				call := step(t, s, direct, &c)
				proxy.arm(position{message, behind})
				err := call(within(t))
				calls, cut := proxy.disarm()
				if !cut || calls != 1 {
					t.Fatalf("%s cut at message %d: cut %v, %d calls of the server, want 1", name, message, cut, calls)
				}
				// The end of the last message says no more than its first byte.
				if !isUnavailable(err) {
					t.Fatalf("%s cut at message %d+%d: got error %v, want that the store is unavailable", name, message, behind, err)
				}
				repeats(t, s, direct, name, &c)
			}
		}
	}
	proxy.mu.Lock()
	defer proxy.mu.Unlock()
	if want := len(steps) * messages * 3; proxy.cut != want || proxy.cancels != 0 {
		t.Errorf("cut %d answers, want %d; the server was asked to cancel %d times, want never", proxy.cut, want, proxy.cancels)
	}
}

// repeats makes a call once more whose answer was lost. The server may still be busy with the first.
func repeats(t *testing.T, s, direct *Store, step string, c *refrain.Claim) {
	t.Helper()
	switch step {
	case "claim":
		claims(t, s, *c, refrain.Run)
		claims(t, direct, again(*c), refrain.InFlight)
	case "finish":
		if r, err := s.Settle(within(t), finish(c, "another")); err != nil || string(r.Outcome.Body) != "paid" {
			t.Fatalf("the second finish: got a record %v, error %v, want the first one's", r.State, err)
		}
		replays(t, direct, *c, "paid")
	case "release":
		eventually(t, "the release", func() bool {
			r, err := direct.Get(within(t), c.ID)
			return err == nil && r.State == refrain.StateAbsent
		})
		claims(t, s, again(*c), refrain.Run)
	case "renew":
		if err := s.Renew(within(t), refrain.Renewal{ID: c.ID, Token: c.Token, Lease: time.Hour}); err != nil {
			t.Fatalf("the second renewal: %v", err)
		}
	default:
		replays(t, s, *c, "paid")
	}
}
