package memstore

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
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
