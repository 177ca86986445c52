package pgstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/refrain-dev/refrain"
)

// TestWaitersAreWoken ends operations in one process in every way while another waits for them: it is told, after a renewal too,
// and also when the connection on which it hears was lost.
func TestWaitersAreWoken(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	owner, waiter := openStore(t, url, Config{Schema: schema}), openStore(t, url, Config{Schema: schema})
	for range 2 {
		for _, ending := range []refrain.Ending{refrain.Finished, refrain.Released, refrain.Undecided} {
			eventually(t, "the waiter to be told", func() bool { return told(t, owner, waiter, ending) }) // once both listen
		}
		run(t, url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN "`+waiter.watches.channel()+`"%'`)
		eventually(t, "the connections to be missed", func() bool { return !owner.hears() && !waiter.hears() })
	}
}

func (s *Store) hears() bool {
	s.watches.mu.Lock()
	defer s.watches.mu.Unlock()
	return s.watches.hears
}

// told reports whether the waiter is told within a moment that the operation has ended.
func told(t *testing.T, owner, waiter *Store, ending refrain.Ending) bool {
	t.Helper()
	c := newClaim()
	claims(t, owner, c, refrain.Run)
	claims(t, waiter, again(c), refrain.InFlight)
	ended, stop := waiter.Watch(c.ID)
	defer stop()
	other, stopOther := waiter.Watch(newClaim().ID)
	defer stopOther()
	if ended == nil || !owner.hears() {
		return false
	}
	eventually(t, "the owner to hear of it", func() bool { return wishes(owner, c.ID) })
	if err := owner.Renew(within(t), refrain.Renewal{ID: c.ID, Token: c.Token, Lease: time.Hour}); err != nil {
		t.Fatal(err)
	}
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
	case <-time.After(patience):
	}
	return false
}

// wishes reports whether the store knows that somebody waits for the operation.
func wishes(s *Store, id refrain.ID) bool {
	s.watches.mu.Lock()
	defer s.watches.mu.Unlock()
	_, young := s.watches.wishes[0][id]
	_, old := s.watches.wishes[1][id]
	return young || old
}

// TestNobodyWaits says nothing where nobody waits, and once where somebody did.
func TestNobodyWaits(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	owner, waiter := openStore(t, url, Config{Schema: schema}), openStore(t, url, Config{Schema: schema})
	eventually(t, "both to listen", func() bool { return owner.hears() && waiter.hears() })
	conn, err := pgx.Connect(within(t), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(within(t)) }()
	if _, err := conn.Exec(within(t), `LISTEN "`+owner.watches.channel()+`"`); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		done(t, owner, "paid")
	}
	c := newClaim()
	claims(t, owner, c, refrain.Run)
	for range 3 { // who asks has not yet waited
		claims(t, waiter, again(c), refrain.InFlight)
	}
	_, stop := waiter.Watch(c.ID)
	defer stop()
	_, stopSecond := waiter.Watch(c.ID)
	defer stopSecond()
	eventually(t, "the owner to hear of it", func() bool { return wishes(owner, c.ID) })
	finishes(t, owner, &c, "paid")
	for _, kind := range []byte{isWished, hasEnded} {
		n, err := conn.WaitForNotification(within(t))
		if err != nil || n.Payload[0] != kind {
			t.Fatalf("got %+v, error %v, want a word of kind %q", n, err, kind)
		}
	}
	if n := query[int](t, url, "SELECT 1"); n != 1 {
		t.Fatal("no answer")
	}
	last, err := conn.WaitForNotification(brief(t))
	if err == nil {
		t.Errorf("got another word %q", last.Payload[:1])
	}
}

func brief(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// TestPoolerIsNotListenedThrough waits through PgBouncer, which gives the connection away: nothing is told, and who waits asks.
func TestPoolerIsNotListenedThrough(t *testing.T) {
	t.Parallel()
	pool := startPgBouncer(t)
	_, schema := newSchema(t)
	owner, waiter := openStore(t, pool.URL("postgres"), Config{Schema: schema}), openStore(t, pool.URL("postgres"), Config{Schema: schema})
	if _, err := waiter.watches.attend(within(t)); !errors.Is(err, errPooled) {
		t.Errorf("got error %v, want %v", err, errPooled)
	}
	if ended, stop := waiter.Watch(newClaim().ID); ended != nil {
		stop()
		t.Error("it says that it can tell")
	}
	answers(t, owner, waiter, 0)
}

// TestTwoGuards has a duplicate wait in another process: it is told.
func TestTwoGuards(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	owner, waiter := openStore(t, url, Config{Schema: schema}), openStore(t, url, Config{Schema: schema})
	eventually(t, "both to listen", func() bool { return owner.hears() && waiter.hears() })
	answers(t, owner, waiter, 1)
}

// answers has a guard wait for an operation of another one's, and so many watch it.
func answers(t *testing.T, owner, waiter *Store, watched int) {
	t.Helper()
	ctx := context.Background()
	op := refrain.Operation{Key: "k", Scope: refrain.Scope{Principal: "p"}}
	secret, err := owner.Secret(ctx)
	if err != nil {
		t.Fatal(err)
	}
	guard := func(s *Store) *refrain.Guard {
		g, err := refrain.New(s, refrain.Config{Secret: secret, Policy: refrain.Policy{Wait: time.Minute}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = g.Close(ctx) })
		return g
	}
	attempt, err := guard(owner).Begin(ctx, op)
	if err != nil || attempt.Verdict != refrain.Run {
		t.Fatalf("got %+v and error %v", attempt, err)
	}
	duplicates := guard(waiter)
	answer := make(chan *refrain.Attempt, 1)
	go func() {
		a, err := duplicates.Begin(ctx, op)
		if err != nil {
			t.Error(err)
		}
		answer <- a
	}()
	eventually(t, "the duplicate to wait", func() bool {
		waiter.watches.mu.Lock()
		defer waiter.watches.mu.Unlock()
		return len(waiter.watches.byID) == watched
	})
	if err := attempt.Finish(ctx, refrain.Outcome{Body: []byte("paid")}); err != nil {
		t.Fatal(err)
	}
	if a := <-answer; a == nil || a.Verdict != refrain.Replay || string(a.Record.Outcome.Body) != "paid" {
		t.Errorf("got %+v, want a replay", a)
	}
}

// TestWatchesEnd leaves nothing behind of those who have waited.
func TestWatchesEnd(t *testing.T) {
	t.Parallel()
	s := &Store{}
	s.watches = newWatches(s)
	s.watches.setHears(true)
	id := newClaim().ID
	first, stopFirst := s.Watch(id)
	second, stopSecond := s.Watch(id)
	stopFirst()
	s.watches.hear(word{hasEnded, id}.text())
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
	for range 3 * maxWishes {
		s.watches.hear(word{isWished, newClaim().ID}.text())
	}
	if n := len(s.watches.wishes[0]) + len(s.watches.wishes[1]); n > 2*maxWishes {
		t.Errorf("%d wishes are remembered, want at most %d", n, 2*maxWishes)
	}
	for _, nonsense := range []string{"", "e", "x", "e00", "wzz"} {
		s.watches.hear(nonsense)
	}
}
