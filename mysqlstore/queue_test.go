package mysqlstore

import (
	"bytes"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain"
)

// TestTheServerTakesAGroup has more finished than the server takes in one message. All are done in the groups that the queue makes
// of them; none is left to be finished by itself.
func TestTheServerTakesAGroup(t *testing.T) {
	t.Parallel()
	s := openStore(t, database(t, startServer(t, "--max-allowed-packet=1M")), Config{})
	defer s.Close()
	q := newQueue()
	q.room = s.queue.room
	for range 64 {
		r := finishing(t, s, newClaim())
		r.settle.Outcome.Body = bytes.Repeat([]byte("\\"), 50_000)
		q.put(r)
	}
	for {
		q.mu.Lock()
		group := q.next()
		q.mu.Unlock()
		if len(group) == 0 {
			return
		}
		s.work(group)
		for _, r := range group {
			if !r.done {
				t.Errorf("one of a group of %d is not done", len(group))
			}
		}
	}
}

// TestQueueBoundsGroups checks how much a lane takes at once.
func TestQueueBoundsGroups(t *testing.T) {
	t.Parallel()
	q := newQueue()
	q.room = 1000
	for _, size := range []int{2000, 300, 300, 300, 300} {
		q.put(&request{settle: &refrain.Settlement{Outcome: &refrain.Outcome{Body: []byte(strings.Repeat("b", size))}}})
	}
	for range maxGroup {
		q.put(&request{claim: &refrain.Claim{}})
	}
	for i, want := range []int{1, 2, maxGroup, 2} {
		q.mu.Lock()
		got := len(q.next())
		q.mu.Unlock()
		if got != want {
			t.Errorf("group %d: got %d requests, want %d", i, got, want)
		}
	}
}

// TestServerTakesLess has the server take less at once than when the store was opened, as after a failover to another one.
func TestServerTakesLess(t *testing.T) {
	t.Parallel()
	url := database(t, startServer(t, "--max-allowed-packet=16M"))
	s := openStore(t, url, Config{})
	defer s.Close()
	db := openPlain(t, url)
	exec(t, db, "SET GLOBAL max_allowed_packet = 1048576")
	s.db.SetMaxIdleConns(0) // whose connections take what the server took when they were made
	if _, err := s.Audit(within(t)); err != nil {
		t.Fatal(err)
	}
	c := newClaim()
	claims(t, s, c, refrain.Run)
	settles(t, s, finish(&c, strings.Repeat("x", 2<<20)), nil)
	if d := claims(t, s, again(c), refrain.Replay); !d.Record.Outcome.Omitted {
		t.Error("got an outcome that the server does not take")
	}
}
