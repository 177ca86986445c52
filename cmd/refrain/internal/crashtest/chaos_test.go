//go:build unix

package crashtest

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// The leases are short, so that what died is soon known as unknown; clients wait for longer than that.
const chaosFile = `defaults:
  lease: 1s
  in_flight: { wait: 3s }
  timeout: 10s
routes:
  - match: [POST /charges]
    key: { required: true }
`

// With this, what is unknown is run by another proxy, so that the owner that comes back is one too many.
const reruns = "    unknown: rerun\n"

// A fault is something that goes wrong while three proxies on one store are under load, and is mended.
type fault struct {
	name string
	// rules are those of the route besides the usual ones.
	rules string
	// strike brings it about and mends it.
	strike func(c *campaign) error
	// landed reports whether it did anything, by what there was before.
	landed func(c *campaign, before counts) bool
}

// counts are what shows that a fault has landed.
type counts struct {
	broken, closed, seen int64
	twice                int
}

// A campaign is one fault, again and again, on one store.
type campaign struct {
	*bench

	random *rand.Rand
	seen   int64 // what strikes saw of their effect: orders in flight in a proxy that stood still, clients sent to another node …
}

func (c *campaign) counts() counts {
	return counts{c.broken.Load(), c.closed.Load(), c.seen, c.twice()}
}

// twice returns how many operations have been charged more than once.
func (c *campaign) twice() (n int) {
	for _, charges := range c.ledger.Counts() {
		if charges > 1 {
			n++
		}
	}
	return n
}

// TestChaos lets every fault strike every store. REFRAIN_CHAOS_ROUNDS says how often, 1 in a plain run of the tests.
//
// What is not lossy charges nothing twice and loses no outcome. What the others do is counted.
func TestChaos(t *testing.T) {
	t.Parallel()
	plain := number(t, "REFRAIN_CHAOS_ROUNDS", 0) == 0
	for _, e := range engines() {
		if !plain || !e.variant {
			e.faults = append(proxyFaults(), e.faults...)
		}
		t.Run(e.name, e.run)
	}
}

// run lets each of the engine's faults strike, one after the other.
func (e *engine) run(t *testing.T) {
	t.Parallel()
	rounds := int(number(t, "REFRAIN_CHAOS_ROUNDS", 1))
	for _, f := range e.faults {
		t.Run(f.name, func(t *testing.T) {
			random := seeded(t)
			e.site = here(3)
			url := e.start(t)
			c := &campaign{bench: newFleet(t, chaosFile+f.rules, url, e.site), random: random}
			c.client.Tries, c.client.Patience = 400, 5*time.Second
			if c.reruns = f.rules == reruns; c.reruns {
				c.client.Patience = 500 * time.Millisecond // they go to the next proxy
			}
			c.run(&f, e, rounds)
		})
	}
}

func (c *campaign) run(f *fault, e *engine, rounds int) {
	c.t.Helper()
	const more = 5 // rounds, when too few have landed: on a busy machine a proxy is at times idle when it is struck
	n, landed := 0, 0
	for ; n < rounds || 2*landed < rounds && n < rounds+more; n++ {
		before := c.counts()
		stop := c.load(fmt.Sprintf("chaos-%d", n), c.random)
		c.awaitOrders(30+c.random.IntN(60), c.random)
		if err := f.strike(c); err != nil {
			stop()
			c.t.Fatalf("round %d: %v", n+1, err)
		}
		c.awaitOrders(10, c.random) // it works again
		stop()
		if f.landed(c, before) {
			landed++
		}
	}
	v := c.judge(0)
	report(row{e.name, e.tier, f.name, n, landed, v})
	c.t.Logf("%d rounds, %d landed, %d operations, %d paid, %d unknown, %d charged twice, %d outcomes lost",
		n, landed, v.operations, v.paid, v.unknown, v.twice, v.lost)
	if 2*landed < rounds {
		c.t.Errorf("only %d of %d rounds landed", landed, n)
	}
	if 2*v.paid < v.operations {
		c.t.Errorf("only %d of %d operations succeeded", v.paid, v.operations)
	}
	if e.lossy {
		return
	}
	for _, fault := range v.faults[:min(10, len(v.faults))] {
		c.t.Error(fault)
	}
}

// broke reports whether requests broke in the middle.
func broke(c *campaign, before counts) bool { return c.broken.Load() > before.broken }

// refused reports whether requests were refused because the store was away.
func refused(c *campaign, before counts) bool { return c.closed.Load() > before.closed }

// overtaken reports whether another proxy has run what one was at.
func overtaken(c *campaign, before counts) bool { return c.twice() > before.twice }

// saw reports whether the strike itself saw its effect.
func saw(c *campaign, before counts) bool { return c.seen > before.seen }

// proxyFaults are those that every store sees.
func proxyFaults() []fault {
	return []fault{
		{name: "kill -9 of a proxy", strike: killProxy, landed: broke},
		{name: "SIGSTOP of a proxy beyond its lease", strike: stopProxy, landed: saw},
		{name: "SIGSTOP of a proxy beyond its lease, `unknown: rerun`", rules: reruns, strike: overtakeProxy, landed: overtaken},
	}
}

func killProxy(c *campaign) error {
	p := c.fleet[c.random.IntN(len(c.fleet))]
	if err := p.Kill(); err != nil {
		return err
	}
	return p.Restart(c.t.Context())
}

// stopProxy lets proxies stand still, as they do in a long pause, for more than their lease, until one did while it was at something.
func stopProxy(c *campaign) error {
	before := c.counts()
	for range 10 {
		limit := time.Second + time.Duration(c.random.Int64N(int64(time.Second)))
		if err := c.pause(limit, func() bool { return false }); err != nil || saw(c, before) {
			return err
		}
		c.awaitOrders(10, c.random)
	}
	return nil
}

// overtakeProxy lets proxies stand still, one after the other, until another has run what one of them was at. Not each pause
// lets it: the proxy may have been at nothing, and SQLite's lock may stand still with it.
func overtakeProxy(c *campaign) error {
	before := c.counts()
	for range 30 {
		err := c.pause(3*time.Second, func() bool { return overtaken(c, before) })
		if err != nil || overtaken(c, before) {
			return err
		}
		c.awaitOrders(10, c.random)
	}
	return nil
}

// pause lets a proxy stand still for that long, or until enough has happened.
func (c *campaign) pause(limit time.Duration, enough func() bool) error {
	p := c.fleet[c.random.IntN(len(c.fleet))]
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	c.seen += int64(c.api.InFlight())
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for over := time.Now().Add(limit); time.Now().Before(over) && !enough(); {
		<-tick.C
	}
	return p.Signal(syscall.SIGCONT)
}
