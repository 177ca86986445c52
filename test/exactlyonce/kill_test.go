package exactlyonce

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
)

// TestKill kills the service with SIGKILL, at a random moment or right after a step of a payment, while clients pay, each payment
// until it is acknowledged. REFRAIN_KILL_CYCLES says how often, REFRAIN_SEED when.
func TestKill(t *testing.T) {
	t.Parallel()
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newSite(t, name, k.start(t)).run(int(number(t, "REFRAIN_KILL_CYCLES", 50)))
		})
	}
}

func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(cmp.Or(os.Getenv(name), strconv.FormatUint(otherwise, 10)), 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// A site is a service, its database and its clients.
type site struct {
	t         *testing.T
	kind      string
	place     string
	url       string
	transport *http.Transport
	rnd       *rand.Rand

	answers atomic.Int64
	broken  atomic.Int64 // calls whose connection broke
	again   atomic.Int64 // payments that were acknowledged at a second call or later
	enough  chan struct{}

	mu       sync.Mutex
	receipts map[string]bool // of the acknowledged payments

	known map[refrain.ID]string // the receipts of operations that were seen done, which never change
}

const clients = 8

func newSite(t *testing.T, name, place string) *site {
	t.Helper()
	seed := number(t, "REFRAIN_SEED", rand.Uint64N(1_000_000))
	t.Logf("seed %d", seed)
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{
		t: t, kind: name, place: place, url: fmt.Sprintf("127.0.0.1:%d", port), rnd: rand.New(rand.NewPCG(seed, 0)),
		transport: &http.Transport{MaxIdleConnsPerHost: clients}, enough: make(chan struct{}), receipts: make(map[string]bool),
		known: make(map[refrain.ID]string),
	}
	t.Cleanup(s.transport.CloseIdleConnections)
	return s
}

// run has the clients pay while the service is killed so many times.
func (s *site) run(cycles int) {
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for n := 0; s.pay(fmt.Sprintf("payment-%d-%d", i, n), n%5 == 0); n++ {
			}
		})
	}
	died := make(map[string]int)
	for n := range cycles {
		if n > 0 && n%100 == 0 {
			s.t.Logf("%d of %d kills", n, cycles)
		}
		step := ""
		if s.rnd.IntN(2) == 0 {
			step = steps[s.rnd.IntN(len(steps))]
		}
		s.cycle(step, died)
		s.compare()
	}
	p := s.start("", 0)
	close(s.enough)
	all.Wait()
	if err := p.Kill(); err != nil {
		s.t.Error(err)
	}
	clear(s.known) // and all of them once more
	paid := s.compare()
	s.t.Logf("%d kills, right after %v; %d payments, %d of them acknowledged at a second call or later; %d calls broke off",
		cycles, died, paid, s.again.Load(), s.broken.Load())
	if s.broken.Load() < int64(cycles)/2 {
		s.t.Errorf("only %d calls broke off in %d kills", s.broken.Load(), cycles)
	}
}

// cycle starts the service and has it die: by itself right after a step, or at a random moment.
func (s *site) cycle(step string, died map[string]int) {
	p := s.start(step, 1+s.rnd.IntN(20))
	from := s.answers.Load()
	enough := int64(1 + s.rnd.IntN(30))
	pause := time.Duration(s.rnd.IntN(3000)) * time.Microsecond
	tick := time.NewTicker(100 * time.Microsecond)
	defer tick.Stop()
	for step == "" && s.answers.Load()-from < enough {
		<-tick.C
	}
	if step == "" {
		<-time.After(pause)
		step = "no matter what"
		if err := p.Kill(); err != nil {
			s.t.Error(err)
		}
	}
	<-p.Done()
	died[step]++
}

func (s *site) start(step string, call int) *servers.Process {
	s.t.Helper()
	dir := s.t.TempDir()
	p, err := servers.Start(s.t.Context(), servers.Command{
		Name: "service", Path: os.Args[0], Dir: dir,
		Args: []string{
			"-service", s.kind, "-place", s.place, "-listen", s.url, "-step", step, "-call", strconv.Itoa(call),
		},
		Ready: func(context.Context) error { return nil },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = p.Kill() })
	return p
}

// pay sends a payment until it is acknowledged. It reports false when there were enough.
func (s *site) pay(key string, decline bool) bool {
	for n := 0; ; n++ {
		select {
		case <-s.enough:
			return false
		default:
		}
		receipt, err := s.call(key, decline && n == 0)
		if err != nil { // it is being started, or the operation is unknown yet
			<-time.After(2 * time.Millisecond)
			continue
		}
		s.answers.Add(1)
		if n > 0 {
			s.again.Add(1)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.receipts[receipt] {
			s.t.Errorf("%s: its receipt is another payment's", key)
		}
		s.receipts[receipt] = true
		return true
	}
}

func (s *site) call(key string, decline bool) (receipt string, err error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+s.url+"/payments", struct{ io.Reader }{strings.NewReader(key)})
	if err != nil {
		return "", err
	}
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("Authorization", "the shop")
	if decline {
		req.Header.Set("Decline", "yes")
	}
	resp, err := s.transport.RoundTrip(req)
	if err == nil {
		var body []byte
		if body, err = io.ReadAll(resp.Body); err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusCreated {
				return "", fmt.Errorf("status %d", resp.StatusCode)
			}
			return string(body), nil
		}
	}
	if !strings.Contains(err.Error(), "connection refused") {
		s.broken.Add(1)
	}
	return "", err
}

// compare demands that the payments and the operations that are done are the same, and that every acknowledged one is there. It
// returns how many there are.
func (s *site) compare() int {
	s.t.Helper()
	s.mu.Lock()
	acknowledged := make([]string, 0, len(s.receipts))
	for r := range s.receipts {
		acknowledged = append(acknowledged, r)
	}
	s.mu.Unlock()
	d, err := kinds[s.kind].open(s.t.Context(), s.place)
	if err != nil {
		s.t.Fatal(err)
	}
	defer d.close()
	paid, receipts := s.payments(d)
	done := s.done(d)
	for id, receipt := range paid {
		if got, ok := done[id]; !ok || got != receipt {
			s.t.Errorf("payment %s with receipt %s: its operation is done: %v, with receipt %s", id, receipt, ok, got)
		}
	}
	if len(done) != len(paid) {
		s.t.Errorf("%d operations are done, and there are %d payments", len(done), len(paid))
	}
	for _, r := range acknowledged {
		if !receipts[r] {
			s.t.Errorf("receipt %s was acknowledged, and there is no such payment", r)
		}
	}
	if s.t.Failed() {
		s.t.FailNow()
	}
	return len(paid)
}

// payments returns the receipt of each operation that was paid.
func (s *site) payments(d *database) (paid map[refrain.ID]string, receipts map[string]bool) {
	rows, err := d.sql.QueryContext(s.t.Context(), "SELECT operation, receipt FROM payments")
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	paid, receipts = make(map[refrain.ID]string), make(map[string]bool)
	for rows.Next() {
		var id []byte
		var receipt string
		if err := rows.Scan(&id, &receipt); err != nil {
			s.t.Fatal(err)
		}
		if other, twice := paid[refrain.ID(id)]; twice {
			s.t.Errorf("operation %x was paid twice: receipts %s and %s", id, other, receipt)
		}
		paid[refrain.ID(id)], receipts[receipt] = receipt, true
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	return paid, receipts
}

// done returns the receipt of each operation that is done.
func (s *site) done(d *database) map[refrain.ID]string {
	done := make(map[refrain.ID]string)
	q := refrain.ListQuery{State: refrain.StateDone, Limit: 500}
	for {
		page, err := d.store.List(s.t.Context(), q)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, l := range page {
			done[l.ID] = s.receipt(d, l.ID)
			q.From = after(l.ID)
		}
		if len(page) < q.Limit {
			return done
		}
	}
}

func (s *site) receipt(d *database, id refrain.ID) string {
	s.t.Helper()
	if r, ok := s.known[id]; ok {
		return r
	}
	r, err := d.store.Get(s.t.Context(), id)
	if err != nil || r.Outcome == nil {
		s.t.Fatalf("reading %s: got %v, error %v", id, r, err)
	}
	s.known[id] = string(r.Outcome.Body)
	return s.known[id]
}

// after returns the ID that follows.
func after(id refrain.ID) refrain.ID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			break
		}
	}
	return id
}
