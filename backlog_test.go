package refrain

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// downStore is a store that nobody reaches.
type downStore struct{ Store }

func (downStore) Claim(context.Context, Claim) (Decision, error) {
	return Decision{}, errors.New("away")
}

func (downStore) Settle(context.Context, Settlement) (Record, error) {
	return Record{}, errors.New("away")
}

// TestBacklogIsBounded keeps the store away while endings pile up: memory is bounded, and outcomes have room when many
// claims are to be given back.
func TestBacklogIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dropped := make(map[Ending]int)
		g, err := New(downStore{}, Config{Observer: observerFunc(func(e Event) {
			if e.Kind == EventDropped {
				dropped[e.Ending]++
			}
		})})
		if err != nil {
			t.Fatal(err)
		}
		for range maxGivenBack + 10 {
			g.backlog.add(Settlement{ID: randomID(), Token: NewToken(), Ending: Released}, Record{}, "")
		}
		const size = 1 << 20
		outcome := &Outcome{Body: make([]byte, size)}
		for range maxBacklogBytes/size + 10 {
			cur := Record{State: StateRunning, Token: NewToken(), Fence: 1}
			r := g.backlog.add(Settlement{ID: randomID(), Token: cur.Token, Ending: Finished, Outcome: outcome}, cur, "")
			if r.State != StateUnknown || r.Outcome != nil {
				t.Fatalf("got a record %v with outcome %v, want it unknown and nothing to show", r.State, r.Outcome)
			}
		}
		if b := g.backlog; b.bytes > maxBacklogBytes || b.released > maxGivenBack || b.queue.Len() > b.released+len(b.byID) {
			t.Errorf("got %d bytes, %d claims, %d in all", b.bytes, b.released, b.queue.Len())
		}
		if n := g.Unrecorded(); n < maxBacklogBytes/size-1 || n > maxBacklogBytes/size {
			t.Errorf("got %d unrecorded outcomes, want about %d", n, maxBacklogBytes/size)
		}
		if dropped[Released] != 10 || dropped[Finished] < 10 || dropped[Finished] > 11 {
			t.Errorf("got %v dropped, want 10 of each", dropped)
		}
		if err := g.Close(t.Context()); !errors.Is(err, ErrUnrecorded) {
			t.Errorf("Close: got error %v, want %v", err, ErrUnrecorded)
		}
	})
}

// TestBacklogOfAGivenBackClaimHidesNothing has an outcome and a lost claim of one operation wait for the store.
func TestBacklogOfAGivenBackClaimHidesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, err := New(downStore{}, Config{})
		if err != nil {
			t.Fatal(err)
		}
		id := randomID()
		cur := Record{State: StateRunning, Token: NewToken(), Fence: 1}
		g.backlog.add(Settlement{ID: id, Token: cur.Token, Ending: Finished, Outcome: &Outcome{}, Retention: time.Hour}, cur, "")
		g.backlog.add(Settlement{ID: id, Token: NewToken(), Ending: Released}, Record{}, "")
		if r, ok := g.backlog.lookup(id); !ok || r.Token != cur.Token {
			t.Errorf("got the record %+v, %v, want that of the outcome", r, ok)
		}
		if err := g.Close(t.Context()); !errors.Is(err, ErrUnrecorded) {
			t.Errorf("Close: got error %v, want %v", err, ErrUnrecorded)
		}
	})
}

// randomID returns the ID of an operation that nobody knows.
func randomID() (b ID) {
	one, two := NewToken(), NewToken()
	copy(b[:16], one[:])
	copy(b[16:], two[:])
	return b
}

type observerFunc func(Event)

func (f observerFunc) Observe(e Event) { f(e) }
