package redisstore

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// TestWaitersAreWoken ends operations in one process in every way while another waits for them: it is told, through a lapse and
// a renewal too, and what nobody waits for is not told about.
func TestWaitersAreWoken(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func() string{
		"single":   func() string { return startRedis(t).URL() },
		"sentinel": func() string { return startSentinel(t).URL() },
		"cluster":  func() string { return startCluster(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := start()
			owner, waiter := openStore(t, url, Config{}), openStore(t, url, Config{})
			for _, ending := range []refrain.Ending{refrain.Finished, refrain.Released, refrain.Undecided} {
				eventually(t, "the waiter to be told", func() bool { return told(t, owner, waiter, ending) }) // once it listens
			}
		})
	}
}

// told reports whether the waiter is told within a moment that the operation has ended.
func told(t *testing.T, owner, waiter *Store, ending refrain.Ending) bool {
	t.Helper()
	c := newClaim()
	claims(t, owner, c, refrain.Run)
	claims(t, waiter, again(c), refrain.InFlight)
	if err := owner.Renew(within(t), refrain.Renewal{ID: c.ID, Token: c.Token, Lease: time.Hour}); err != nil {
		t.Fatal(err)
	}
	ended, stop := waiter.Watch(c.ID)
	defer stop()
	other, stopOther := waiter.Watch(newClaim().ID)
	defer stopOther()
	e := finish(&c, "paid")
	e.Ending = ending
	if ending == refrain.Released {
		e.Outcome = nil
	}
	if _, err := owner.Settle(within(t), e); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
		return true
	case <-other:
		t.Fatal("told of another operation")
	case <-time.After(100 * time.Millisecond):
	}
	return false
}

// TestNobodyWaits publishes nothing where nobody is told that an operation is in flight.
func TestNobodyWaits(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL(), Config{})
	done(t, s, "paid")
	if calls, _ := commands(t, server, "publish"); calls != 0 {
		t.Errorf("got %d messages, want none", calls)
	}
	c := newClaim()
	claims(t, s, c, refrain.Run)
	for range 3 {
		claims(t, s, again(c), refrain.InFlight)
	}
	settle(t, s, &c, refrain.Released)
	if calls, _ := commands(t, server, "publish"); calls != 1 {
		t.Errorf("got %d messages, want 1", calls)
	}
}

// TestWatchesEnd leaves nothing behind of those who have waited.
func TestWatchesEnd(t *testing.T) {
	t.Parallel()
	s := &Store{}
	id := newClaim().ID
	first, stopFirst := s.Watch(id)
	second, stopSecond := s.Watch(id)
	stopFirst()
	s.watches.tell(id)
	<-second
	select {
	case <-first:
		t.Error("told after the end of the watch")
	default:
	}
	stopSecond()
	_, stopThird := s.Watch(id)
	stopThird()
	if n := len(s.watches.byID); n != 0 {
		t.Errorf("%d watches are left", n)
	}
}

// TestTwoGuards has a duplicate wait in another process: it is told, and does not have to ask twice a second.
func TestTwoGuards(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	ctx := context.Background()
	op := refrain.Operation{Key: "k", Scope: refrain.Scope{Principal: "p"}}
	var guards [2]*refrain.Guard
	for i := range guards {
		g, err := refrain.New(openStore(t, server.URL(), Config{}), refrain.Config{Policy: refrain.Policy{Wait: time.Minute}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = g.Close(ctx) })
		guards[i] = g
	}
	owner, err := guards[0].Begin(ctx, op)
	if err != nil || owner.Verdict != refrain.Run {
		t.Fatalf("got %+v and error %v", owner, err)
	}
	answer := make(chan *refrain.Attempt, 1)
	go func() {
		a, err := guards[1].Begin(ctx, op)
		if err != nil {
			t.Error(err)
		}
		answer <- a
	}()
	eventually(t, "the duplicate to wait", func() bool {
		return strings.Contains(call(t, server, "INFO", "commandstats"), "cmdstat_persist:")
	})
	if err := owner.Finish(ctx, refrain.Outcome{Body: []byte("paid")}); err != nil {
		t.Fatal(err)
	}
	if a := <-answer; a.Verdict != refrain.Replay || string(a.Record.Outcome.Body) != "paid" {
		t.Errorf("got %+v, want a replay", a)
	}
}
