package refrainhttp

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func TestLeadingClockIsNeverBehind(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(seed, 0))
		var c leadingClock
		for range 1000 {
			time.Sleep(time.Duration(random.Int64N(int64(clockLead))))
			synctest.Wait() // for a timer of this moment
			if ahead := time.Until(c.now()); ahead < 0 || ahead > clockLead {
				t.Fatalf("the clock is ahead by %v, want 0 to %v", ahead, clockLead)
			}
		}
	})
}
