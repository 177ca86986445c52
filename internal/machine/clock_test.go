package machine

import (
	"testing"
	"time"
)

// TestClock checks that it follows the machine's clock, never goes back, and goes on when the machine's was set back.
func TestClock(t *testing.T) {
	t.Parallel()
	start := time.Now()
	machine := start
	c := Clock{Machine: func() time.Time { return machine }}
	first := c.Now()
	if first != time.UnixMicro(start.UnixMicro()).UTC() {
		t.Errorf("got %v, want %v", first, start)
	}
	machine = start.Add(time.Hour) // an hour has passed
	if got := c.Now().Sub(first); got != time.Hour {
		t.Errorf("after an hour: got %v", got)
	}
	machine = machine.Round(0).Add(-24 * time.Hour) // set back, as seen without a monotonic clock
	if got := c.Now().Sub(first); got != time.Hour {
		t.Errorf("set back: got %v, want it to stand still", got)
	}
	if got := c.NowFrom(first.Add(2 * time.Hour)).Sub(first); got != 2*time.Hour {
		t.Errorf("behind others: got %v, want it to follow them", got)
	}
	if got := c.NowFrom(first).Sub(first); got != 2*time.Hour {
		t.Errorf("ahead of others: got %v, want it to stand still", got)
	}
}
