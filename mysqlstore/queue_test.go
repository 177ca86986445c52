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
