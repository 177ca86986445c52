package pebblestore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/refrain-dev/refrain"
)

// TestPowerLoss cuts the power 5,000 times: at random operations of the file system under load, with none, some or all of what
// was not synced on the disk. No claim and no outcome that anyone was told of may be missing after it: neither what was
// acknowledged, nor what a reader saw.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	const runs, cutsEach = 40, 125
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for i := range runs {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			powerLosses(t, seed+uint64(i), cutsEach)
		})
	}
}

// A cut is a disk as it was when the power went, and what was known just before.
type cut struct {
	disk  *vfs.MemFS
	facts []fact
}

func powerLosses(t *testing.T, seed uint64, n int) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := &cutter{disk: vfs.NewCrashableMem(), ledger: newLedger(), rng: rand.New(rand.NewPCG(seed, 1)), enough: cancel}
	s, err := Open("db", Config{FS: errorfs.Wrap(c.disk, c), tune: smallPebble})
	if err != nil {
		t.Fatal(err)
	}
	c.arm(n)
	if err := c.ledger.workers(ctx, s, 6, seed); err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	outcomes := 0
	for _, cut := range c.cuts {
		outcomes += checkCut(t, cut)
	}
	if len(c.cuts) != n || outcomes == 0 {
		t.Errorf("got %d cuts with %d recorded outcomes, want %d with some: the test proves nothing", len(c.cuts), outcomes, n)
	}
}

// checkCut opens what is left after the power loss, and returns how many outcomes were known.
func checkCut(t *testing.T, c cut) (outcomes int) {
	s, err := Open("db", Config{FS: c.disk, tune: smallPebble, Logger: testLogger(t)})
	if err != nil {
		t.Errorf("Open after the power loss: %v", err)
		return 0
	}
	defer s.Close()
	if err := checkFacts(s, c.facts); err != nil {
		t.Errorf("after the power loss: %v", err)
	}
	var last uint64
	for _, f := range c.facts {
		last = max(last, f.fence)
		if f.state == refrain.StateDone {
			outcomes++
		}
	}
	d, err := s.Claim(t.Context(), newClaim())
	if err != nil || d.Record.Fence <= last {
		t.Errorf("Claim after the power loss: got fence %d, error %v, want a fence above %d", d.Record.Fence, err, last)
	}
	return outcomes
}

// A cutter takes copies of a disk, as a power loss would leave it, before random operations.
type cutter struct {
	disk   *vfs.MemFS
	ledger *ledger
	enough func() // is called after the last

	mu   sync.Mutex
	rng  *rand.Rand
	left int
	cuts []cut
}

func (c *cutter) String() string { return "cutter" }

func (c *cutter) arm(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = n
}

// MaybeError implements errorfs.Injector. It injects nothing but looks.
func (c *cutter) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 || c.rng.IntN(2) != 0 {
		return nil
	}
	facts := c.ledger.told() // first: whatever is known by now must be in the copy
	percent := []int{0, 30, 70, 100}[c.rng.IntN(4)]
	c.cuts = append(c.cuts, cut{c.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: c.rng}), facts})
	if c.left--; c.left == 0 {
		c.enough()
	}
	return nil
}
