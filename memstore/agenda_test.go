package memstore

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// TestAgenda pushes and pops in any order: what comes off is always the earliest.
func TestAgenda(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 1000 {
		var a agenda
		var want []time.Duration
		for range random.IntN(200) {
			if len(want) > 0 && random.IntN(3) == 0 {
				slices.Sort(want)
				if got := a.pop().at; got != want[0] {
					t.Fatalf("seed %d: got %d, want %d", seed, got, want[0])
				}
				want = want[1:]
				continue
			}
			at := time.Duration(random.IntN(50))
			a.push(due{at: at})
			want = append(want, at)
		}
		slices.Sort(want)
		for _, w := range want {
			if got := a.pop().at; got != w {
				t.Fatalf("seed %d: got %d, want %d", seed, got, w)
			}
		}
		if len(a) != 0 {
			t.Fatalf("seed %d: got %d left, want none", seed, len(a))
		}
	}
}

// TestForgottenLeaveTheAgenda forgets a hundred thousand operations that were to be kept for a century, beside one that is kept.
func TestForgottenLeaveTheAgenda(t *testing.T) {
	t.Parallel()
	s := New(Config{})
	end := func(c refrain.Claim, ending refrain.Ending) {
		t.Helper()
		e := refrain.Settlement{ID: c.ID, Token: c.Token, Ending: ending, Outcome: &refrain.Outcome{}, Retention: 876_000 * time.Hour}
		if _, err := s.Settle(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100_000 {
		c := refrain.Claim{ID: refrain.ID{byte(i), byte(i >> 8), byte(i >> 16)}, Token: refrain.NewToken(), Lease: time.Hour}
		if _, err := s.Claim(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if end(c, refrain.Finished); i > 0 {
			end(c, refrain.Forgotten)
		}
	}
	n := 0
	for i := range s.shards {
		n += len(s.shards[i].agenda)
	}
	if limit := len(s.shards) * 2 * (few + 1); n == 0 || n > limit {
		t.Errorf("got %d dues, want that of one operation, and at most %d", n, limit)
	}
}
