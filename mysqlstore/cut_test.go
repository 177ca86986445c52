package mysqlstore

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// A cutter stands between a store and its server. When it is armed it lets so many packets of the server's pass, and then closes
// their connection.
type cutter struct {
	address string
	server  string
	armed   atomic.Int64 // packets that may pass, plus one; zero: not armed
	cut     atomic.Int64 // how often it has cut
}

func newCutter(t *testing.T, server string) *cutter {
	t.Helper()
	c := &cutter{server: server}
	c.address = servertest.Relay(t, c.serve)
	return c
}

// url returns the URL of the database through the proxy.
func (c *cutter) url(direct string) string {
	return strings.Replace(direct, c.server, c.address, 1)
}

func (c *cutter) serve(client net.Conn) {
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		client.Close()
		return
	}
	go func() {
		_, _ = io.Copy(server, client)
		server.Close()
	}()
	defer client.Close()
	defer server.Close()
	for c.pass(client, server) == nil {
	}
}

var errCut = errors.New("cut")

// pass lets one packet of the server's pass, if it may.
func (c *cutter) pass(client, server net.Conn) error {
	head := make([]byte, 4)
	if _, err := io.ReadFull(server, head); err != nil {
		return err
	}
	body := make([]byte, uint32(head[0])|uint32(head[1])<<8|uint32(head[2])<<16)
	if _, err := io.ReadFull(server, body); err != nil {
		return err
	}
	for left := c.armed.Load(); left > 0; left = c.armed.Load() {
		if !c.armed.CompareAndSwap(left, left-1) {
			continue
		}
		if left == 1 {
			c.cut.Add(1)
			return errCut
		}
		break
	}
	_, err := client.Write(append(head, body...))
	return err
}

// lose makes the calls that step returns, with the server's answers cut after each packet in turn, until one is too short to be
// cut. What step returns too checks what has come of the call.
func (c *cutter) lose(t *testing.T, step func() (call func() error, check func(err error))) {
	t.Helper()
	for n := 0; ; n++ {
		call, check := step()
		before := c.cut.Load()
		c.armed.Store(int64(n) + 1)
		err := call()
		whole := c.armed.Swap(0) != 0
		switch {
		case whole && err != nil:
			t.Fatalf("nothing was cut: got error %v", err)
		case !whole && c.cut.Load() != before+1:
			t.Fatalf("cut %d times", c.cut.Load()-before)
		case err != nil && (!errors.Is(err, refrain.ErrUnavailable) || errors.Is(err, refrain.ErrStale)):
			t.Fatalf("cut after %d packets: got error %v, want that the store is unavailable", n, err)
		}
		check(err)
		if whole {
			return
		}
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newClaim() refrain.Claim {
	c := refrain.Claim{Token: refrain.NewToken(), Lease: time.Hour}
	a, b := refrain.NewToken(), refrain.NewToken()
	copy(c.ID[:], a[:])
	copy(c.ID[16:], b[:])
	return c
}

func again(c refrain.Claim) refrain.Claim {
	c.Token = refrain.NewToken()
	return c
}

func finish(c *refrain.Claim, body string) refrain.Settlement {
	return refrain.Settlement{
		ID: c.ID, Token: c.Token, Ending: refrain.Finished, Outcome: &refrain.Outcome{Status: 201, Body: []byte(body)},
		Retention: time.Hour, Tombstone: time.Hour,
	}
}

func claims(t *testing.T, s refrain.Store, c refrain.Claim, want refrain.Verdict) refrain.Decision {
	t.Helper()
	d, err := s.Claim(within(t), c)
	if err != nil || d.Verdict != want {
		t.Fatalf("Claim: got %v and error %v, want %v", d.Verdict, err, want)
	}
	return d
}

func settles(t *testing.T, s refrain.Store, e refrain.Settlement, want error) refrain.Record {
	t.Helper()
	r, err := s.Settle(within(t), e)
	if !errors.Is(err, want) {
		t.Fatalf("Settle: got error %v, want %v", err, want)
	}
	return r
}

// TestLostAnswers cuts the answers to every call after every packet. The call finds out what became of it, or says that the store
// is unavailable; nothing runs twice, no outcome is lost, and whoever repeats the call finds itself.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	server := server(t)
	url := database(t, server)
	proxy := newCutter(t, servers.Address(server.Port))
	direct := openStore(t, url, Config{})
	defer direct.Close()
	s := openStore(t, proxy.url(url), Config{})
	defer s.Close()
	warm := newClaim() // so that the partitions are there
	claims(t, s, warm, refrain.Run)
	settles(t, s, finish(&warm, ""), nil)

	proxy.lose(t, func() (func() error, func(error)) {
		c := newClaim()
		call := func() error {
			_, err := s.Claim(within(t), c)
			return err
		}
		return call, func(error) {
			first := claims(t, direct, c, refrain.Run)
			if d := claims(t, s, c, refrain.Run); d.Record.Fence != first.Record.Fence {
				t.Fatalf("got fence %d after %d: it is another claim", d.Record.Fence, first.Record.Fence)
			}
			claims(t, direct, again(c), refrain.InFlight)
		}
	})
	for _, claimer := range []*Store{s, direct} { // its own claim, and another process's
		proxy.lose(t, func() (func() error, func(error)) {
			c := newClaim()
			claims(t, claimer, c, refrain.Run)
			call := func() error {
				_, err := s.Settle(within(t), finish(&c, "paid"))
				return err
			}
			return call, func(err error) {
				if got := settles(t, s, finish(&c, "another"), nil); string(got.Outcome.Body) != "paid" && err == nil {
					t.Fatalf("got %q, want the outcome that was acknowledged", got.Outcome.Body)
				}
				claims(t, direct, again(c), refrain.Replay)
			}
		})
	}
	proxy.lose(t, func() (func() error, func(error)) {
		c := newClaim()
		claims(t, direct, c, refrain.Run)
		release := refrain.Settlement{ID: c.ID, Token: c.Token, Ending: refrain.Released}
		call := func() error {
			_, err := s.Settle(within(t), release)
			return err
		}
		return call, func(err error) {
			if err != nil { // it was made or not
				_, _ = direct.Settle(within(t), release)
			}
			claims(t, direct, again(c), refrain.Run)
		}
	})
	proxy.lose(t, func() (func() error, func(error)) {
		c := newClaim()
		claims(t, direct, c, refrain.Run)
		settles(t, direct, finish(&c, "paid"), nil)
		call := func() error {
			d, err := s.Claim(within(t), again(c))
			if err == nil && (d.Verdict != refrain.Replay || string(d.Record.Outcome.Body) != "paid") {
				t.Errorf("got %v of what is done", d.Verdict)
			}
			return err
		}
		return call, func(error) { claims(t, s, again(c), refrain.Replay) }
	})
	if n := proxy.cut.Load(); n < 60 {
		t.Errorf("%d answers were cut, want more", n)
	}
}

// TestLostCommit cuts the server's answer to the commit of a caller's transaction. The outcome and the row beside it are both
// there or both not, and whoever settles the operation afterwards learns which.
func TestLostCommit(t *testing.T) {
	t.Parallel()
	server := server(t)
	url := database(t, server)
	s := openStore(t, url, Config{})
	defer s.Close()
	proxy := newCutter(t, servers.Address(server.Port))
	db := openPlain(t, proxy.url(url))
	exec(t, openPlain(t, url), "CREATE TABLE payments (id BINARY(32) PRIMARY KEY)")
	committed := 0
	for n := range 4 {
		c := newClaim()
		claims(t, s, c, refrain.Run)
		tx := begin(t, db, nil)
		exec(t, tx, "INSERT INTO payments VALUES (?)", c.ID[:])
		if _, err := s.SettleTx(within(t), tx, finish(&c, "paid")); err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 {
			proxy.armed.Store(1) // the answer to COMMIT
		}
		if err := tx.Commit(); (err != nil) != (n%2 == 0) {
			t.Fatalf("COMMIT: got error %v", err)
		}
		_, err := s.Settle(within(t), refrain.Settlement{ID: c.ID, Token: c.Token, Ending: refrain.Released})
		var paid int
		if err := db.QueryRow("SELECT COUNT(*) FROM payments WHERE id = ?", c.ID[:]).Scan(&paid); err != nil {
			t.Fatal(err)
		}
		if (paid == 1) != errors.Is(err, refrain.ErrStale) {
			t.Fatalf("there are %d payments, and releasing gave error %v", paid, err)
		}
		if paid == 1 {
			committed++
			claims(t, s, again(c), refrain.Replay)
		} else {
			claims(t, s, again(c), refrain.Run)
		}
	}
	if committed < 2 {
		t.Errorf("got %d commits", committed)
	}
}

func openPlain(t *testing.T, url string) *sql.DB {
	t.Helper()
	cfg, err := parseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", cfg.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func begin(t *testing.T, db *sql.DB, o *sql.TxOptions) *sql.Tx {
	t.Helper()
	tx, err := db.BeginTx(within(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

func exec(t *testing.T, on interface {
	Exec(query string, args ...any) (sql.Result, error)
}, query string, args ...any,
) {
	t.Helper()
	if _, err := on.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", strconv.Quote(query), err)
	}
}
