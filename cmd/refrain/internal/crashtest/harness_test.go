package crashtest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/payments"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/sidecar"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "refrain-crash-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "refrain")
	args := append([]string{"build", "-o", binary}, buildFlags...)
	out, err := exec.Command("go", append(args, "github.com/refrain-dev/refrain/cmd/refrain")...).CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "building the program under test: %v\n%s", err, out)
		return 1
	}
	status := m.Run()
	writeReport(os.Stdout)
	return status
}

// number returns the value of an environment variable, or otherwise.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := cmp.Or(os.Getenv(name), strconv.FormatUint(otherwise, 10))
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s is %q; it must be a number", name, text)
	}
	return n
}

// cycles returns how many cycles to run: those that the environment asks for, or that many in a plain test run.
func cycles(t *testing.T, plain uint64) int {
	t.Helper()
	return int(number(t, "REFRAIN_CRASH_CYCLES", plain))
}

// seeded returns a random source whose seed is in the test's output.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := number(t, "REFRAIN_SEED", rand.Uint64N(1_000_000))
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// took is about how long the payments API works on a charge.
const took = 6 * time.Millisecond

// A bench is the real program in front of a payments API with a ledger.
type bench struct {
	t      *testing.T
	ledger *payments.Ledger
	api    *payments.API
	proxy  *sidecar.Proxy   // the first of the fleet
	fleet  []*sidecar.Proxy // all of them, on one store
	client payments.Client
	broken atomic.Int64 // requests whose connection broke between request and answer
	closed atomic.Int64 // requests that were refused because the store did not answer
	reruns bool         // what is unknown is run again, so that more than one charge is no fault

	mu  sync.Mutex
	ops []*op
}

// newBench starts a bench of one proxy on the embedded store.
func newBench(t *testing.T, file string) *bench {
	t.Helper()
	return newFleet(t, file, "", here(1))
}

// pay lets clients pay for a new operation, all at once.
func (b *bench) pay(key string, clients int) *op {
	o := &op{key: key, told: make([]payments.Result, clients)}
	var wg sync.WaitGroup
	for i := range o.told {
		wg.Go(func() { o.told[i] = b.ask(key) })
	}
	wg.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ops = append(b.ops, o)
	return o
}

func order(key string) payments.Order {
	return payments.Order{Amount: 100, Currency: "EUR", Reference: key}
}

func (b *bench) ask(key string) payments.Result {
	return b.client.Pay(b.t.Context(), key, order(key))
}

// load pays from several workers until it is stopped; stop waits until every operation that was begun has ended.
func (b *bench) load(name string, random *rand.Rand) (stop func()) {
	var halt atomic.Bool
	var wg sync.WaitGroup
	for w := range 8 {
		random := rand.New(rand.NewPCG(random.Uint64(), uint64(w)))
		wg.Go(func() {
			for n := 0; !halt.Load(); n++ {
				b.pay(fmt.Sprintf("%s-%d-%d", name, w, n), 1+random.IntN(4)/2)
			}
		})
	}
	return func() {
		halt.Store(true)
		wg.Wait()
	}
}

// awaitOrders waits until the API got n more orders, and then for an instant that no clock is in step with.
func (b *bench) awaitOrders(n int, random *rand.Rand) {
	b.t.Helper()
	goal := b.api.Orders() + n
	b.await("orders to arrive", func() bool { return b.api.Orders() >= goal })
	for range random.IntN(2000) {
		runtime.Gosched()
	}
}

// await polls a condition.
func (b *bench) await(what string, condition func() bool) {
	b.t.Helper()
	limit := time.After(30 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-limit:
			b.t.Fatalf("waited 30 s in vain for %s", what)
		}
	}
}
