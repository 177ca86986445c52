package refrainhttp_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

func sequenced(window int) refrainhttp.Policy {
	p := atOnce()
	p.Key = refrainhttp.Key{From: []string{"sequence:X-Sequence"}, SequenceWindow: window}
	return p
}

// numbered is a request of alice with a number.
func numbered(n string) ask {
	return post("", `"pay"`).with("Authorization", "alice").with("X-Sequence", n)
}

func TestSequence(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(sequenced(10)), charge())
	first := s.do(numbered("5"))
	if first.status() != "executed" {
		t.Fatalf("got %s, want it executed", first)
	}
	for _, tc := range []struct {
		what string
		ask  ask
		want string
	}{
		{"a gap", numbered("20"), "201 executed"},
		{"a number of the gap", numbered("11"), "201 executed"},
		{"it again", numbered("11"), "201 replayed"},
		{"one below the window whose record is there", numbered("5"), "201 replayed"},
		{"one below the window", numbered("10"), "409 number-passed"},
		{"one far below it", numbered("0"), "409 number-passed"},
		{"the greatest again", numbered("20"), "201 replayed"},
		{"the greatest with another body", func() ask { a := numbered("20"); a.body = "2"; return a }(), "422 key-mismatch"},
		{"another caller's", numbered("0").with("Authorization", "bob"), "201 executed"},
		{"nobody's", post("", "1").with("X-Sequence", "1"), "400 key-invalid"},
		{"none", keyless(`"pay"`), "201 "},
	} {
		got := s.do(tc.ask)
		word := got.status()
		if p := got.problem(); p.Code != "" {
			word = p.Code
		}
		if text := fmt.Sprint(got.code, " ", word); text != tc.want {
			t.Errorf("%s: got %s, want %s", tc.what, text, tc.want)
		}
	}
	s.same(first, s.do(numbered("5")))
	if got := s.do(numbered("10")).problem(); got.Retryable {
		t.Errorf("got %+v, want no invitation to send it again", got)
	}
	s.ran(5)
}

// The end of the window moves in steps: it is where it should be, or less than a step lower.
func TestWindowEnds(t *testing.T) {
	t.Parallel()
	for window, step := range map[int]int{1: 1, 7: 1, 16: 2, 1000: 125, 1_000_000: 128} {
		for _, greatest := range []int{5_000_000, 5_000_063, 5_000_124} {
			s := newSite(t, oneRoute(sequenced(window)), charge())
			s.do(numbered(strconv.Itoa(greatest)))
			if got := s.do(numbered(strconv.Itoa(greatest - window + 1))); got.status() != "executed" && got.status() != "replayed" {
				t.Errorf("window %d: the lowest number below %d: got %s, want it executed", window, greatest, got)
			}
			if got := s.do(numbered(strconv.Itoa(greatest - window - step + 1))); got.problem().Code != "number-passed" {
				t.Errorf("window %d: a step below it: got %s, want it refused", window, got)
			}
		}
	}
}

// A number whose operation was turned away may come again, also when greater ones were used meanwhile.
func TestReleasedNumberMayComeAgain(t *testing.T) {
	t.Parallel()
	busy := true
	s := newSite(t, oneRoute(sequenced(10)), func(w http.ResponseWriter, r *http.Request) {
		if busy && r.Header.Get("X-Sequence") == "1" {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	s.do(numbered("1"))
	s.do(numbered("2"))
	busy = false
	if got := s.do(numbered("1")); got.code != http.StatusOK || got.status() != "executed" {
		t.Errorf("got %s, want it executed", got)
	}
	s.ran(3)
}

func TestNumbersHaveOneSpelling(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(sequenced(10)), charge())
	for _, bad := range []string{"", "-1", "+1", "01", "1.0", "1e3", "0x1", "1_0", `"1"`, "9223372036854775808", "99999999999999999999", "１"} {
		if got := s.do(numbered(bad)); got.problem().Code != "key-invalid" {
			t.Errorf("%q: got %s, want it refused", bad, got)
		}
	}
	for _, good := range []string{"0", "1", "9223372036854775807"} {
		if got := s.do(numbered(good)); got.status() != "executed" {
			t.Errorf("%q: got %s, want it executed", good, got)
		}
	}
}

func TestSequenceIsObserved(t *testing.T) {
	t.Parallel()
	p := sequenced(10)
	p.Mode = refrainhttp.Observe
	s := newSite(t, oneRoute(p), charge())
	for _, n := range []string{"100", "1"} {
		s.do(numbered(n))
		eventually(t, "the outcome is recorded", func() bool { return s.guard.Running() == 0 })
	}
	s.ran(2)
	if got := fmt.Sprint(s.events.statuses()); got != "[executed refused]" {
		t.Errorf("got %s, want executed, then what would have been refused", got)
	}
}

// Nothing runs while it is not known how far the sequence is.
func TestSequenceIsClosedWithoutItsMark(t *testing.T) {
	t.Parallel()
	p := sequenced(10)
	p.Operation.StoreDown = refrain.FailOpen
	s := newSite(t, oneRoute(p), charge())
	s.store.Store = &marklessStore{Store: s.store.Store}
	if got := s.do(numbered("1")); got.code != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("got %s, want 503 and when to come back", got)
	}
	s.store.claims.Store(true) // the store is away altogether
	if got := s.do(numbered("2")); got.code != http.StatusServiceUnavailable {
		t.Errorf("got %s, want 503", got)
	}
	s.ran(0)
}

// A marklessStore claims but cannot be read.
type marklessStore struct{ refrain.Store }

func (*marklessStore) Get(context.Context, refrain.ID) (refrain.Record, error) {
	return refrain.Record{}, errors.New("broken")
}

func TestSequenceContradictions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(p *refrainhttp.Policy){
		"alone":            func(p *refrainhttp.Policy) { p.Key.From = append(p.Key.From, "header:Idempotency-Key") },
		"positive":         func(p *refrainhttp.Policy) { p.Key.SequenceWindow = -1 },
		"form":             func(p *refrainhttp.Policy) { p.Key.Format = refrainhttp.UUID },
		"derived":          func(p *refrainhttp.Policy) { p.Key.DeriveWindow = time.Second },
		"principal":        func(p *refrainhttp.Policy) { p.Principal = []refrainhttp.Source{"none"} },
		"scope of its own": func(p *refrainhttp.Policy) { p.Principal = []refrainhttp.Source{"header:x-sequence"} },
		"the scope":        func(p *refrainhttp.Policy) { p.ScopeHeaders = []string{"x-sequence"} },
		"no sequence":      func(p *refrainhttp.Policy) { p.Key.From = nil },
	} {
		p := sequenced(10)
		change(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one about %q", err, want)
		}
	}
}

func FuzzNumber(f *testing.F) {
	for _, seed := range []string{"0", "1", "00", "-1", "9223372036854775807", "9223372036854775808", " 1"} {
		f.Add(seed)
	}
	p := sequenced(1 << 62)
	f.Fuzz(func(t *testing.T, text string) {
		b := newBench(t, p, func(http.ResponseWriter, *http.Request) {})
		a := numbered(text)
		ran := b.do(a).Code == http.StatusOK
		n, err := strconv.ParseInt(text, 10, 64)
		if canonical := err == nil && n >= 0 && strconv.FormatInt(n, 10) == text; ran != canonical {
			t.Errorf("%q: ran %t, want %t", text, ran, canonical)
		}
	})
}

// TestNoNumberRunsTwice has clients send numbers in any order, again and again, at the same time, to processes that crash and
// come back with another window, for longer than any record lives. The ledger says that none ran twice.
func TestNoNumberRunsTwice(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for round := range uint64(30) {
		synctest.Test(t, func(t *testing.T) { stormOfNumbers(t, dice(seed, round)) })
	}
}

func stormOfNumbers(t *testing.T, rnd func(int) int) {
	t.Helper()
	var mu sync.Mutex
	ledger := map[string]int{}
	store := &slowStore{Store: memstore.New(memstore.Config{}), rnd: rnd}
	top := 200
	for range 6 { // processes, one after the other; the requests of each may outlast it
		p := sequenced(1 + rnd(100))
		p.Operation.Retention, p.Operation.Tombstone, p.Operation.Lease = time.Minute, -1, time.Second
		p.Operation.Wait = time.Duration(rnd(3)-1) * time.Second
		guard, err := refrain.New(store, refrain.Config{StoreTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		m, err := refrainhttp.New(guard, oneRoute(p))
		if err != nil {
			t.Fatal(err)
		}
		h := m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch rnd(8) {
			case 0:
				w.WriteHeader(http.StatusTooManyRequests)
			case 1:
				w.WriteHeader(http.StatusInternalServerError)
				fallthrough
			default:
				mu.Lock()
				ledger[r.Header.Get("X-Sequence")]++
				mu.Unlock()
			}
			time.Sleep(time.Duration(rnd(300)) * time.Millisecond)
		}))
		for range 80 {
			n := max(0, top+rnd(20)-15-rnd(2)*rnd(400))
			top = max(top, n)
			go h.ServeHTTP(httptest.NewRecorder(), numbered(strconv.Itoa(n)).request(context.Background(), ""))
			time.Sleep(time.Duration(rnd(400)) * time.Millisecond)
		}
		if rnd(2) == 0 {
			time.Sleep(10 * time.Minute) // longer than the retention
		}
	}
	time.Sleep(time.Hour)
	mu.Lock()
	defer mu.Unlock()
	for n, runs := range ledger {
		if runs > 1 {
			t.Errorf("number %s ran %d times, want once", n, runs)
		}
	}
	if len(ledger) < 50 {
		t.Errorf("only %d numbers ran: the test is no test", len(ledger))
	}
}

// A slowStore takes its time.
type slowStore struct {
	refrain.Store
	rnd func(int) int
}

func (s *slowStore) pause() { time.Sleep(time.Duration(s.rnd(40)) * time.Millisecond) }

func (s *slowStore) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	s.pause()
	defer s.pause()
	return s.Store.Claim(ctx, c)
}

func (s *slowStore) Settle(ctx context.Context, e refrain.Settlement) (refrain.Record, error) {
	s.pause()
	defer s.pause()
	return s.Store.Settle(ctx, e)
}

func (s *slowStore) Get(ctx context.Context, id refrain.ID) (refrain.Record, error) {
	s.pause()
	defer s.pause()
	return s.Store.Get(ctx, id)
}
