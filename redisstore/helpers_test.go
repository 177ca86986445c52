package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
)

// call gives the server a command.
func call(tb testing.TB, r *servers.Redis, command ...string) string {
	tb.Helper()
	out, err := r.Call(context.Background(), command...)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// within is a context that outlasts whatever a sound store does.
func within(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	tb.Cleanup(cancel)
	return ctx
}

func newClaim() refrain.Claim {
	c := refrain.Claim{Token: refrain.NewToken(), Fingerprint: refrain.Fingerprint{1}, Lease: time.Hour}
	_, _ = rand.Read(c.ID[:])
	return c
}

// again returns a claim of another attempt.
func again(c refrain.Claim) refrain.Claim {
	c.Token = refrain.NewToken()
	return c
}

func finish(c *refrain.Claim, body string) refrain.Settlement {
	return refrain.Settlement{
		ID: c.ID, Token: c.Token, Ending: refrain.Finished, Retention: time.Hour, Tombstone: time.Hour,
		Outcome: &refrain.Outcome{Status: 201, Meta: []byte("meta"), Body: []byte(body)},
	}
}

// claims makes the claim and wants the verdict.
func claims(tb testing.TB, s *Store, c refrain.Claim, want refrain.Verdict) refrain.Decision {
	tb.Helper()
	d, err := s.Claim(within(tb), c)
	if err != nil || d.Verdict != want {
		tb.Fatalf("got verdict %v and error %v, want %v", d.Verdict, err, want)
	}
	return d
}

// done claims a new operation and finishes it.
func done(tb testing.TB, s *Store, body string) refrain.Claim {
	tb.Helper()
	c := newClaim()
	claims(tb, s, c, refrain.Run)
	if _, err := s.Settle(within(tb), finish(&c, body)); err != nil {
		tb.Fatal(err)
	}
	return c
}

// unavailable wants every call to be refused for that reason.
func unavailable(tb testing.TB, s *Store, c *refrain.Claim, want error) {
	tb.Helper()
	ctx := within(tb)
	_, claimed := s.Claim(ctx, *c)
	_, settled := s.Settle(ctx, finish(c, "refused"))
	_, got := s.Get(ctx, c.ID)
	for name, err := range map[string]error{
		"Claim": claimed, "Settle": settled, "Get": got,
		"Renew": s.Renew(ctx, refrain.Renewal{ID: c.ID, Token: c.Token, Lease: time.Hour}),
	} {
		if !errors.Is(err, want) || !errors.Is(err, refrain.ErrUnavailable) || errors.Is(err, refrain.ErrStale) {
			tb.Errorf("%s: got error %v, want %v", name, err, want)
		}
	}
}

// eventually waits until the condition holds.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(time.Minute); !holds(); {
		select {
		case <-tick.C:
		case <-limit:
			tb.Fatalf("waited in vain for %s", what)
		}
	}
}
