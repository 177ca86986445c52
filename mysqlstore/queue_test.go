package mysqlstore

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/refrain-dev/refrain"
)

// TestLargeGroup has many large outcomes finished at once, which the server does not take in one message.
func TestLargeGroup(t *testing.T) {
	t.Parallel()
	s := openStore(t, database(t, startServer(t, "--max-allowed-packet=1M")), Config{})
	defer s.Close()
	body := bytes.Repeat([]byte("b"), 200<<10)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			c := newClaim()
			if _, err := s.Claim(t.Context(), c); err != nil {
				t.Error(err)
				return
			}
			f := finish(&c, "")
			f.Outcome.Body = body
			if _, err := s.Settle(t.Context(), f); err != nil {
				t.Error(err)
				return
			}
			d, err := s.Claim(t.Context(), again(c))
			if err != nil || d.Verdict != refrain.Replay || !bytes.Equal(d.Record.Outcome.Body, body) {
				t.Errorf("got %s, error %v", d.Verdict, err)
			}
		})
	}
	all.Wait()
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
