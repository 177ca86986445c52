//go:build unix

package crashtest

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// A process that stood still beyond its lease overwrites nothing when it goes on, and nothing is charged twice.
func TestCrashPause(t *testing.T) {
	t.Parallel()
	const lease = 200 * time.Millisecond
	random := seeded(t)
	b := newBench(t, `defaults:
  lease: 200ms
  in_flight: { wait: 3s }
  timeout: 10s
routes:
  - match: [POST /charges]
    key: { required: true }
`)
	b.client.Patience = lease // clients do not wait for a process that stands still
	all, landed := max(5, cycles(t, 20)/4), 0
	for n := range all {
		since := len(b.ops)
		stop := b.load(fmt.Sprintf("pause-%d", n), random)
		b.awaitOrders(20+random.IntN(40), random)
		if err := b.proxy.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		caught := b.api.InFlight()
		<-time.After(lease/2 + time.Duration(random.Int64N(int64(2*lease)))) // half a lease to two and a half
		if err := b.proxy.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		b.awaitOrders(1, random)
		stop()
		if caught > 0 {
			landed++
		}
		b.check(since)
		if t.Failed() {
			t.Fatalf("pause %d of %d", n+1, all)
		}
	}
	b.check(0)
	paid := b.successes(0)
	t.Logf("%d pauses, %d of them with orders in flight, %d operations, %d paid", all, landed, len(b.ops), paid)
	if 2*landed < all { // on a busy machine the API is at times done before the signal comes
		t.Errorf("only %d of %d pauses landed while orders were in flight", landed, all)
	}
	if 2*paid < len(b.ops) {
		t.Errorf("only %d of %d operations succeeded", paid, len(b.ops))
	}
}
