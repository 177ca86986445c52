package redisstore

import (
	"bytes"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// A cutter stands between a store and its server. When it is armed it lets the next script pass, and so many bytes of its
// answer, and then closes the connection.
type cutter struct {
	address string
	server  string
	armed   atomic.Int64 // bytes that may pass, plus one; zero: not armed
	cut     atomic.Int64 // how often it has cut
	whole   atomic.Int64 // how many bytes the last answer had that was to be cut
}

func newCutter(t *testing.T, server string) *cutter {
	t.Helper()
	c := &cutter{server: server}
	c.address = servertest.Relay(t, c.serve)
	return c
}

func (c *cutter) url() string { return "redis://" + c.address }

func (c *cutter) serve(client net.Conn) {
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		client.Close()
		return
	}
	var left atomic.Int64 // as armed, for this connection
	go func() {
		defer server.Close()
		b := make([]byte, 1<<20)
		for {
			n, err := client.Read(b)
			if n > 0 && bytes.Contains(b[:n], []byte("EVAL")) {
				left.Store(c.armed.Swap(0))
			}
			if _, e := server.Write(b[:n]); err != nil || e != nil {
				return
			}
		}
	}()
	defer client.Close()
	b := make([]byte, 1<<20)
	for {
		n, err := server.Read(b)
		if limit := left.Load(); n > 0 && limit > 0 {
			c.whole.Store(int64(n))
			if limit-1 < int64(n) {
				_, _ = client.Write(b[:limit-1])
				c.cut.Add(1)
				server.Close()
				return
			}
			left.Store(0)
		}
		if _, e := client.Write(b[:n]); err != nil || e != nil {
			return
		}
	}
}

// TestLostAnswers cuts the answers to claims, finishes, renewals and reads at every byte. The caller hears that the store is
// unavailable, the server got the command once, and whoever repeats the call finds itself: nothing runs twice, no outcome is
// lost.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	proxy := newCutter(t, server.URL()[len("redis://"):])
	s := openStore(t, proxy.url(), Config{AuditEvery: time.Hour})
	direct := openStore(t, server.URL(), Config{AuditEvery: time.Hour})
	warm := done(t, direct, "so that the server knows the scripts")
	_ = direct.Renew(within(t), refrain.Renewal{ID: warm.ID, Token: warm.Token})
	_, _ = direct.Get(within(t), warm.ID)
	call(t, server, "CONFIG", "RESETSTAT")

	lost := func(what string, at int, f func() error) bool {
		t.Helper()
		proxy.whole.Store(0)
		proxy.armed.Store(int64(at) + 1)
		before, _ := evaluated(t, direct)
		err := f()
		if calls, failed := evaluated(t, direct); calls-before != 1 || failed != 0 {
			t.Fatalf("%s cut at %d: the server got it %d times", what, at, calls-before)
		}
		if int64(at) >= proxy.whole.Load() { // that was all of it
			if err != nil {
				t.Fatalf("%s whole: got error %v", what, err)
			}
			return false
		}
		if !isUnavailable(err) {
			t.Fatalf("%s cut at %d: got error %v, want that the store is unavailable", what, at, err)
		}
		return true
	}
	for _, step := range []string{"claim", "finish", "release", "renew", "replay", "get"} {
		for at := 0; ; at++ {
			c := newClaim()
			var f func() error
			switch step {
			case "claim":
				f = func() error { _, err := s.Claim(within(t), c); return err }
			case "finish", "release":
				claims(t, direct, c, refrain.Run)
				e := finish(&c, "paid")
				if step == "release" {
					e.Ending = refrain.Released
				}
				f = func() error { _, err := s.Settle(within(t), e); return err }
			case "renew":
				claims(t, direct, c, refrain.Run)
				f = func() error { return s.Renew(within(t), refrain.Renewal{ID: c.ID, Token: c.Token, Lease: time.Hour}) }
			case "replay":
				c = done(t, direct, "paid")
				f = func() error { _, err := s.Claim(within(t), again(c)); return err }
			case "get":
				c = done(t, direct, "paid")
				f = func() error { _, err := s.Get(within(t), c.ID); return err }
			}
			again := lost(step, at, f)
			repeat(t, s, direct, step, c)
			if !again {
				break
			}
		}
	}
	if n := proxy.cut.Load(); n < 60 {
		t.Errorf("%d answers were cut, want more", n)
	}
}

// evaluated returns how often the server got the name of a script, and how often that failed.
func evaluated(t *testing.T, s *Store) (calls, failed int) {
	t.Helper()
	stats, err := s.client.Do(within(t), s.client.B().Info().Section("commandstats").Build()).ToString()
	if err != nil {
		t.Fatal(err)
	}
	return countOf(stats, "evalsha")
}

func isUnavailable(err error) bool {
	return errors.Is(err, refrain.ErrUnavailable) && !errors.Is(err, refrain.ErrStale)
}

// repeat makes a call again whose answer may have been lost.
func repeat(t *testing.T, s, direct *Store, step string, c refrain.Claim) {
	t.Helper()
	switch step {
	case "claim":
		first, err := direct.Get(within(t), c.ID)
		if err != nil || first.Token != c.Token {
			t.Fatalf("got token %x and error %v, want the claim whose answer was lost", first.Token, err)
		}
		if d := claims(t, s, c, refrain.Run); d.Record.Fence != first.Fence {
			t.Fatalf("got fence %d after %d: it is another claim", d.Record.Fence, first.Fence)
		}
		claims(t, direct, again(c), refrain.InFlight)
	case "finish":
		r, err := s.Settle(within(t), finish(&c, "another"))
		if err != nil || string(r.Outcome.Body) != "paid" {
			t.Fatalf("got %v and error %v, want the outcome whose acknowledgement was lost", r.Outcome, err)
		}
		claims(t, direct, again(c), refrain.Replay)
	case "release":
		claims(t, direct, again(c), refrain.Run)
	case "renew":
		claims(t, direct, again(c), refrain.InFlight)
	case "replay", "get":
		claims(t, s, again(c), refrain.Replay)
	}
}
