package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/refrain-dev/refrain"
)

// patience bounds what only a broken store makes a test wait for.
const patience = 30 * time.Second

func within(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	tb.Cleanup(cancel)
	return ctx
}

func newClaim() refrain.Claim {
	c := refrain.Claim{Token: refrain.NewToken(), Lease: time.Hour}
	_, _ = rand.Read(c.ID[:])
	return c
}

// again returns a claim of another attempt at the same operation.
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

// claims wants the verdict.
func claims(tb testing.TB, s *Store, c refrain.Claim, want refrain.Verdict) refrain.Decision {
	tb.Helper()
	d, err := s.Claim(within(tb), c)
	if err != nil || d.Verdict != want {
		tb.Fatalf("Claim: got verdict %v, error %v, want %v", d.Verdict, err, want)
	}
	return d
}

// finishes wants the outcome to be recorded.
func finishes(tb testing.TB, s *Store, c *refrain.Claim, body string) {
	tb.Helper()
	r, err := s.Settle(within(tb), finish(c, body))
	if err != nil || r.State != refrain.StateDone || string(r.Outcome.Body) != body {
		tb.Fatalf("Settle: got a record %v, error %v, want it done with %q", r.State, err, body)
	}
}

// done claims and finishes a new operation.
func done(tb testing.TB, s *Store, body string) refrain.Claim {
	tb.Helper()
	c := newClaim()
	claims(tb, s, c, refrain.Run)
	finishes(tb, s, &c, body)
	return c
}

// replays wants the operation to be replayed with the body.
func replays(tb testing.TB, s *Store, c refrain.Claim, body string) {
	tb.Helper()
	if d := claims(tb, s, again(c), refrain.Replay); string(d.Record.Outcome.Body) != body {
		tb.Fatalf("got the outcome %q, want %q", d.Record.Outcome.Body, body)
	}
}

// query runs a query on a connection of its own and returns its only value.
func query[T any](tb testing.TB, url, sql string, args ...any) (v T) {
	tb.Helper()
	conn, err := pgx.Connect(within(tb), url)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close(within(tb)) }()
	if err := conn.QueryRow(within(tb), sql, args...).Scan(&v); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	return v
}

// run runs statements on a connection of its own.
func run(tb testing.TB, url, sql string) {
	tb.Helper()
	conn, err := pgx.Connect(within(tb), url)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close(within(tb)) }()
	if _, err := conn.Exec(within(tb), sql); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

// eventually polls the condition until it holds.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			tb.Fatalf("waited in vain for %s", what)
		}
	}
}

func isUnavailable(err error) bool { return errors.Is(err, refrain.ErrUnavailable) }
