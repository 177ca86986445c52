package crashtest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
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

	mu  sync.Mutex
	ops []*op
}

// newBench starts a bench of one proxy on the embedded store.
func newBench(t *testing.T, file string) *bench {
	t.Helper()
	return newFleet(t, file, "", 1)
}

// newFleet starts a bench of n proxies on one store, which clients ask in turn.
func newFleet(t *testing.T, file, store string, n int) *bench {
	t.Helper()
	ledger, err := payments.OpenLedger(filepath.Join(t.TempDir(), "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, ledger: ledger, api: payments.NewAPI(ledger, took)}
	server := httptest.NewServer(b.api)
	t.Cleanup(func() {
		server.Close()
		_ = ledger.Close()
	})
	turns := &inTurn{}
	for range n {
		p := startProxy(t, server.URL, file, store)
		b.fleet = append(b.fleet, p)
		turns.hosts = append(turns.hosts, strings.TrimPrefix(p.URL(), "http://")) // a restart changes nothing about it
	}
	b.proxy = b.fleet[0]
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	turns.base = transport
	b.client = payments.Client{
		URL: b.proxy.URL(), Tries: 60, Pause: 10 * time.Millisecond,
		Transport: &witness{base: turns, broken: &b.broken, closed: &b.closed},
	}
	return b
}

func startProxy(t *testing.T, upstream, file, store string) *sidecar.Proxy {
	t.Helper()
	p, err := sidecar.Start(t.Context(), sidecar.Config{
		Executable: binary, Upstream: upstream, Dir: t.TempDir(), File: file, Store: store,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Kill()
		if t.Failed() {
			t.Logf("the proxy's last words:\n%s", p.Log())
		}
	})
	return p
}

// inTurn sends each request to the next proxy of a fleet.
type inTurn struct {
	base  http.RoundTripper
	hosts []string
	next  atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (f *inTurn) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Host = f.hosts[int(f.next.Add(1))%len(f.hosts)]
	return f.base.RoundTrip(req)
}

// A witness counts the requests whose connection broke after they had left, and those that were refused.
type witness struct {
	base           http.RoundTripper
	broken, closed *atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (w *witness) RoundTrip(req *http.Request) (*http.Response, error) {
	var left atomic.Bool
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		WroteRequest: func(info httptrace.WroteRequestInfo) { left.Store(info.Err == nil) },
	})
	resp, err := w.base.RoundTrip(req.WithContext(ctx))
	if err != nil && left.Load() {
		w.broken.Add(1)
	}
	if err == nil && resp.StatusCode == http.StatusServiceUnavailable {
		w.closed.Add(1)
	}
	return resp, err
}

// An op is one operation and what its clients were told.
type op struct {
	key  string
	told []payments.Result
}

// paid returns a success that the store promised to keep, or nil.
func (o *op) paid() *payments.Result {
	for i := range o.told {
		if r := &o.told[i]; r.Kind == payments.Paid && r.Header.Get("Idempotency-Status") != "unrecorded" {
			return r
		}
	}
	return nil
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

func (b *bench) ask(key string) payments.Result {
	return b.client.Pay(b.t.Context(), key, payments.Order{Amount: 100, Currency: "EUR", Reference: key})
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

// check sets what the clients were told against the ledger, and asks again about every operation since the given one.
func (b *bench) check(since int) {
	b.t.Helper()
	v := b.judge(since)
	const shown = 10
	for _, f := range v.faults[:min(len(v.faults), shown)] {
		b.t.Error(f)
	}
	if len(v.faults) > shown {
		b.t.Errorf("and %d more", len(v.faults)-shown)
	}
}

// A verdict is what the ledger and the clients say of some operations.
type verdict struct {
	operations, paid, unknown int
	twice                     int // operations that were charged more than once
	lost                      int // operations that a client was told of, and whose answer is not replayed
	faults                    []string
}

// judge asks again about every operation since the given one, once the API is at rest.
func (b *bench) judge(since int) (v verdict) {
	b.t.Helper()
	b.await("the API to come to rest", func() bool { return b.api.InFlight() == 0 })
	again := make([]payments.Result, len(b.ops)-since)
	var wg sync.WaitGroup
	turns := make(chan struct{}, 16)
	for i, o := range b.ops[since:] {
		turns <- struct{}{}
		wg.Go(func() {
			again[i] = b.ask(o.key)
			<-turns
		})
	}
	wg.Wait()
	ids := make(map[string][]string)
	for _, c := range b.ledger.Charges() {
		ids[c.Reference] = append(ids[c.Reference], c.ID)
	}
	for i, o := range b.ops[since:] {
		faults := o.faults(ids[o.key], &again[i])
		v.faults = append(v.faults, faults...)
		v.operations++
		switch {
		case o.paid() != nil:
			v.paid++
			v.lost += min(1, len(faults))
		case again[i].Kind == payments.Unknown:
			v.unknown++
		}
	}
	for key, ids := range ids {
		if len(ids) > 1 {
			v.twice++
			v.faults = append(v.faults, fmt.Sprintf("%s: charged %d times: %v", key, len(ids), ids))
		}
	}
	return v
}

// faults returns what is wrong with one operation, whose charges are ids, and the answer to asking about it again.
func (o *op) faults(ids []string, again *payments.Result) (faults []string) {
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Sprintf("%s: "+format, append([]any{o.key}, args...)...))
	}
	for i := range o.told {
		r := &o.told[i]
		switch r.Kind {
		case payments.Unanswered:
			fault("no verdict after %d tries; last heard: %d %s, %v", r.Tries, r.Status, r.Body, r.Err)
		case payments.Refused:
			fault("refused: %d %s", r.Status, r.Body)
		case payments.Paid:
			if c, err := r.Charge(); err != nil || len(ids) != 1 || c.ID != ids[0] {
				fault("told of charge %q (%v), the ledger has %v", c.ID, err, ids)
			}
		}
	}
	first := o.paid()
	switch {
	case first == nil && again.Kind != payments.Unknown && again.Kind != payments.Paid:
		fault("asked again: got %v, %d %s, want unknown, or paid by a late finish", again.Kind, again.Status, again.Body)
	case first == nil:
	case again.Kind != payments.Paid || again.Header.Get("Idempotent-Replayed") != "true":
		fault("paid, and asked again: got %d %s, want a replay", again.Status, again.Body)
	case again.Status != first.Status || string(again.Body) != string(first.Body):
		fault("got replay %d %s, want %d %s", again.Status, again.Body, first.Status, first.Body)
	}
	return faults
}

// successes returns how many of the operations since the given one were paid for.
func (b *bench) successes(since int) (n int) {
	for _, o := range b.ops[since:] {
		if o.paid() != nil {
			n++
		}
	}
	return n
}
