package crashtest

import (
	"fmt"
	"testing"
	"time"
)

// The lease is short, so that what a kill left behind is soon unknown; duplicates wait for longer than that.
const killFile = `defaults:
  lease: 400ms
  in_flight: { wait: 3s }
  timeout: 10s
routes:
  - match: [POST /charges]
    key: { required: true }
`

// Promises 3, 5, 6 and 8 across kill -9: nothing is charged twice, whatever was acknowledged is replayed as it was.
func TestCrashKill(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	b := newBench(t, killFile)
	all, landed, inFlight := cycles(t, 20), 0, int64(0)
	for n := range all {
		since, before := len(b.ops), b.broken.Load()
		stop := b.load(fmt.Sprintf("kill-%d", n), random)
		b.awaitOrders(30+random.IntN(60), random)
		if err := b.proxy.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := b.proxy.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.awaitOrders(1, random) // it works again
		stop()
		if broken := b.broken.Load() - before; broken > 0 {
			landed++
			inFlight += broken
		}
		b.check(since)
		if t.Failed() {
			t.Fatalf("cycle %d of %d", n+1, all)
		}
	}
	b.check(0) // every cycle, after all the others
	paid := b.successes(0)
	t.Logf("%d kills, %d of them with requests in flight (%d), %d operations, %d paid, %d charges",
		all, landed, inFlight, len(b.ops), paid, len(b.ledger.Charges()))
	if 10*landed < 9*all {
		t.Errorf("only %d of %d kills landed while requests were in flight", landed, all)
	}
	if 2*paid < len(b.ops) {
		t.Errorf("only %d of %d operations succeeded", paid, len(b.ops))
	}
}

// A kill while the program starts and recovers leaves the store as good as one while it works.
func TestCrashKillAtStart(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	b := newBench(t, killFile)
	b.client.Tries = 10_000 // the program is away for most of the test
	stop := b.load("start", random)
	b.awaitOrders(200, random)
	for range cycles(t, 20) {
		if err := b.proxy.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := b.proxy.Launch(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-b.proxy.Exited():
			t.Fatalf("it ended by itself:\n%s", b.proxy.Log())
		case <-time.After(time.Duration(random.IntN(150)) * time.Millisecond): // there is no signal for a random moment
		}
	}
	if err := b.proxy.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := b.proxy.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	b.check(0)
	t.Logf("%d operations, %d paid", len(b.ops), b.successes(0))
	if b.successes(0) == 0 {
		t.Error("no operation succeeded")
	}
}
