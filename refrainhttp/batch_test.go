package refrainhttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A bank carries out batches and counts.
type bank struct {
	mu     sync.Mutex
	ledger map[string]int
	seen   []string                         // the bodies of its requests
	status func(id string) int              // of an item
	before func(w http.ResponseWriter) bool // whether it goes on
}

type transfer struct {
	ID     string `json:"id"`
	Amount int    `json:"amount"`
}

func newBank() *bank {
	return &bank{ledger: map[string]int{}, status: func(string) int { return 201 }, before: func(http.ResponseWriter) bool { return true }}
}

func (b *bank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	b.mu.Lock()
	b.seen = append(b.seen, string(body))
	b.mu.Unlock()
	if !b.before(w) {
		return
	}
	var in struct{ Operations []transfer }
	if err := json.Unmarshal(body, &in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var results []string
	for _, t := range in.Operations {
		status := b.status(t.ID)
		if status/100 == 2 {
			b.ledger[t.ID]++
		}
		results = append(results, fmt.Sprintf(`{"id":%q, "run":%d,"status":%d}`, t.ID, b.ledger[t.ID], status))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Bank", "b1")
	fmt.Fprintf(w, `{"count": %d, "results":[ %s ]}`, len(results), strings.Join(results, ", "))
}

func (b *bank) requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.seen...)
}

func batched() refrainhttp.Policy {
	p := atOnce()
	p.Batch = refrainhttp.Batch{Items: "/operations", Key: "/id", Answers: "/results", Status: "/status"}
	return p
}

func transfers(ids ...string) ask {
	items := make([]string, len(ids))
	for i, id := range ids {
		items[i] = fmt.Sprintf(`{"id":%q,"amount":%d}`, id, len(id))
	}
	return post("", fmt.Sprintf(`{ "mode":"each", "operations": [%s] }`, strings.Join(items, ", "))).with("Authorization", "alice")
}

// answers returns the code or the id and status of each answer of a combined answer.
func answersOf(t *testing.T, body string) string {
	t.Helper()
	var doc struct {
		Results []struct {
			ID, Code string
			Status   int
		}
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Errorf("%v in %s", err, body)
	}
	var all []string
	for _, r := range doc.Results {
		all = append(all, fmt.Sprintf("%s%s=%d", r.ID, r.Code, r.Status))
	}
	return strings.Join(all, " ")
}

func TestBatchForwardsOnlyWhatIsNotDone(t *testing.T) {
	t.Parallel()
	b := newBank()
	s := newSite(t, oneRoute(batched()), b.ServeHTTP)
	first := s.do(transfers("a", "bb"))
	if first.status() != "executed" || answersOf(t, first.body) != "a=201 bb=201" {
		t.Errorf("got %s", first)
	}
	mixed := s.do(transfers("ccc", "bb", "d", "a"))
	if got := answersOf(t, mixed.body); got != "ccc=201 bb=201 d=201 a=201" || mixed.status() != "executed" || mixed.code != 200 {
		t.Errorf("got %s %s, want all in the order of the request", got, mixed)
	}
	if !strings.HasPrefix(mixed.body, `{"count": 2, "results":[`) {
		t.Errorf("got %s, want it in the answer that just came", mixed.body)
	}
	want := `{ "mode":"each", "operations": [{"id":"ccc","amount":3},{"id":"d","amount":1}] }`
	if got := b.requests(); len(got) != 2 || got[1] != want {
		t.Errorf("the handler got %q, want %q in the second", got, want)
	}
	again := s.do(transfers("a", "bb"))
	s.same(first, again)
	if got := again.header.Get("X-Bank"); got != "b1" {
		t.Errorf("replay got the header %q, want that of the first answer", got)
	}
	s.ran(2)
	// The record of an item is the answer to a batch of one.
	if one := s.do(transfers("d")); answersOf(t, one.body) != "d=201" || one.status() != "replayed" {
		t.Errorf("got %s, want d replayed", one)
	}
	if bob := s.do(transfers("a").with("Authorization", "bob")); bob.status() != "executed" {
		t.Errorf("another principal: got %s, want it executed", bob)
	}
}

// Each item has the outcome that its own status says.
func TestBatchPartialSuccess(t *testing.T) {
	t.Parallel()
	b := newBank()
	status := map[string]int{"final": 422, "release": 429, "unknown": 500, "fine": 201}
	b.status = func(id string) int { return status[id] }
	s := newSite(t, oneRoute(batched()), b.ServeHTTP)
	all := transfers("final", "release", "unknown", "fine")
	if got := answersOf(t, s.do(all).body); got != "final=422 release=429 unknown=500 fine=201" {
		t.Errorf("got %s", got)
	}
	status = map[string]int{"release": 201}
	again := s.do(all)
	if got := answersOf(t, again.body); got != "final=422 release=201 outcome-unknown=409 fine=201" || again.code != http.StatusMultiStatus {
		t.Errorf("got %d %s", again.code, got)
	}
	if got := b.requests(); len(got) != 2 || strings.Count(got[1], `"id"`) != 1 {
		t.Errorf("the handler got %q, want only what was released the second time", got)
	}
}

// Whatever does not tell the items apart tells of them all.
func TestBatchAnswersAsAWhole(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, body string
		code       int
		again      string // what a retry gets
	}{
		{"turned away", `{"error":"x"}`, 400, "executed"},
		{"later", `{"error":"x"}`, 429, "executed"},
		{"broken", `{"error":"x"}`, 500, "unknown"},
		{"no array", `{"ok":true}`, 200, "unknown"},
		{"too few answers", `{"results":[{"status":201}]}`, 200, "unknown"},
		{"too many answers", `{"results":[1,2,3]}`, 200, "unknown"},
		{"two arrays", `{"results":[1,2],"results":[3,4]}`, 200, "unknown"},
		{"not JSON", `{"results":[1,2}`, 200, "unknown"},
		{"an error with an array", `{"results":[{"status":201},{"status":201}]}`, 500, "unknown"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBank()
			broken := true
			b.before = func(w http.ResponseWriter) bool {
				if broken {
					w.WriteHeader(tc.code)
					_, _ = io.WriteString(w, tc.body)
				}
				return !broken
			}
			s := newSite(t, oneRoute(batched()), b.ServeHTTP)
			if got := s.do(transfers("a", "b")); got.code != tc.code || got.body != tc.body {
				t.Errorf("got %s, want %d %s as it is", got, tc.code, tc.body)
			}
			broken = false
			if got := s.do(transfers("a", "b")); got.status() != tc.again {
				t.Errorf("then got %s, want it %s", got, tc.again)
			}
		})
	}
}

func TestBatchTooLongToKeep(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ status, code, again string }{
		{"", "not-replayable", "not-replayable"}, {"/status", "outcome-unknown", "outcome-unknown"},
	} {
		p := batched()
		p.Limits.ResponseBody = 20
		p.Batch.Status = tc.status
		b := newBank()
		s := newSite(t, oneRoute(p), b.ServeHTTP)
		if got := s.do(transfers("a", "b")); got.problem().Code != tc.code {
			t.Errorf("got %s, want %s", got, tc.code)
		}
		if got := s.do(transfers("a", "b")); got.problem().Code != tc.again {
			t.Errorf("then got %s, want %s", got, tc.again)
		}
		s.ran(1)
	}
}

func TestBadBatches(t *testing.T) {
	t.Parallel()
	p := batched()
	p.Batch.Limit = 3
	p.Key.MaxLength = 5
	b := newBank()
	s := newSite(t, oneRoute(p), b.ServeHTTP)
	for _, tc := range []struct{ body, code, says string }{
		{`{"operations":[{"id":"a"},{"id":"b"},{"id":"a"}]}`, "key-invalid", "item 0"},
		{`{"operations":[{"id":1},{"id":"1"}]}`, "key-invalid", "item 0"},
		{`{"operations":[{"id":"a"},{"amount":1}]}`, "key-missing", "Item 1"},
		{`{"operations":[{"id":"a"},7]}`, "key-missing", "Item 1"},
		{`{"operations":[{"id":{}}]}`, "key-invalid", "neither"},
		{`{"operations":[{"id":"toolong"}]}`, "key-invalid", "at most 5"},
		{`{"operations":[{"id":""}]}`, "key-invalid", "empty"},
		{`{"operations":[{"id":"a","id":"b"}]}`, "key-invalid", "single meaning"},
		{`{"operations":[{"id":"a"}],"operations":[{"id":"b"}]}`, "key-invalid", "single meaning"},
		{`{"operations":[{"id":1},{"id":2},{"id":3},{"id":4}]}`, "body-too-large", "at most 3"},
		{`{"operations":[{},{},{},{"id":4}]}`, "body-too-large", "at most 3"},
	} {
		got := s.do(post("", tc.body).with("Authorization", "alice"))
		if got.problem().Code != tc.code || !strings.Contains(got.problem().Detail, tc.says) {
			t.Errorf("%s: got %s, want %s about %q", tc.body, got, tc.code, tc.says)
		}
	}
	if got := s.do(transfers("a").with("Idempotency-Key", "k")); got.problem().Code != "key-invalid" {
		t.Errorf("with a key of its own: got %s, want it refused", got)
	}
	s.ran(0)
	for _, unkeyed := range []string{`{"operations":[]}`, `{"operations":[{"amount":1}]}`, `{"operations":{}}`, `{}`, `[]`, `x`, ``, `{"operations":[1,2,3,4]}`} {
		if got := s.do(post("", unkeyed).with("Authorization", "alice")); got.status() != "" {
			t.Errorf("%s: got %s, want it unprotected", unkeyed, got)
		}
	}
	if got := b.requests(); len(got) != 8 || got[1] != `{"operations":[{"amount":1}]}` {
		t.Errorf("the handler got %q, want the bodies as they are", got)
	}
}

// The same key with another item, or in another envelope, is a mismatch, which concerns only that item.
func TestBatchItemMismatch(t *testing.T) {
	t.Parallel()
	b := newBank()
	s := newSite(t, oneRoute(batched()), b.ServeHTTP)
	s.do(transfers("a"))
	other := post("", `{"operations":[{"id":"a","amount":99},{"id":"b","amount":1}],"mode":"each"}`).with("Authorization", "alice")
	got := s.do(other)
	if answersOf(t, got.body) != "key-mismatch=422 b=201" || got.code != http.StatusMultiStatus {
		t.Errorf("got %s", got)
	}
	same := post("", `{"mode": "each","operations":[{"amount":1,"id":"a"}]}`).with("Authorization", "alice")
	if got := s.do(same); got.status() != "replayed" {
		t.Errorf("another spelling: got %s, want it replayed", got)
	}
	around := post("", `{"mode":"all","operations":[{"amount":1,"id":"a"}]}`).with("Authorization", "alice")
	if got := s.do(around); got.code != http.StatusUnprocessableEntity || got.problem().Code != "key-mismatch" {
		t.Errorf("another envelope: got %s, want a mismatch", got)
	}
}

func TestBatchOfABareArray(t *testing.T) {
	t.Parallel()
	p := atOnce()
	p.Batch = refrainhttp.Batch{Key: "/id"}
	s := newSite(t, oneRoute(p), func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	})
	s.do(post("", `[{"id":2}]`))
	got := s.do(post("", `[{"id":1},{"id":2},{"id":3}]`))
	if got.body != `[{"id":1},{"id":2},{"id":3}]` || got.code != 201 {
		t.Errorf("got %s", got)
	}
}

// Two batches that share items wait for each other only when they hold nothing: each runs what it got.
func TestOverlappingBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := batched()
		p.Operation.Wait = time.Minute
		b := newBank()
		b.before = func(http.ResponseWriter) bool { time.Sleep(time.Second); return true }
		bench := newBench(t, p, b.ServeHTTP)
		start := time.Now()
		var wg sync.WaitGroup
		for _, ids := range [][]string{{"a", "b", "c"}, {"c", "b", "a"}, {"d", "a"}, {"a", "b", "c"}} {
			wg.Go(func() {
				w := bench.do(transfers(ids...))
				var want []string
				for _, id := range ids {
					want = append(want, id+"=201")
				}
				if got := answersOf(t, w.Body.String()); got != strings.Join(want, " ") {
					t.Errorf("%v: got %d %s", ids, w.Code, w.Body)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took >= time.Minute {
			t.Errorf("took %s: they locked each other out", took)
		}
		for id, n := range b.ledger {
			if n != 1 {
				t.Errorf("%s ran %d times, want once", id, n)
			}
		}
	})
}

func TestBatchInFlight(t *testing.T) {
	t.Parallel()
	b := newBank()
	entered, gate := make(chan struct{}), make(chan struct{})
	b.before = func(http.ResponseWriter) bool {
		if len(b.requests()) == 1 {
			close(entered)
			<-gate
		}
		return true
	}
	s := newSite(t, oneRoute(batched()), b.ServeHTTP)
	done := make(chan reply)
	go func() { done <- s.try(context.Background(), transfers("a", "b")) }()
	<-entered
	got := s.do(transfers("c", "a"))
	if answersOf(t, got.body) != "c=201 in-progress=409" || got.code != http.StatusMultiStatus || got.header.Get("Retry-After") == "" {
		t.Errorf("got %s, want c done and a in progress", got)
	}
	if got := s.do(transfers("a", "b")); got.code != http.StatusConflict || got.problem().Code != "in-progress" || got.header.Get("Retry-After") == "" {
		t.Errorf("got %s, want the batch in progress", got)
	}
	close(gate)
	if got := <-done; answersOf(t, got.body) != "a=201 b=201" {
		t.Errorf("got %s", got)
	}
}

// A handler that does not return leaves each of its items unknown, and no other.
func TestBatchPanic(t *testing.T) {
	t.Parallel()
	b := newBank()
	var panics atomic.Bool
	b.before = func(http.ResponseWriter) bool {
		if panics.Load() {
			panic(http.ErrAbortHandler)
		}
		return true
	}
	s := newSite(t, oneRoute(batched()), b.ServeHTTP)
	s.do(transfers("a"))
	panics.Store(true)
	if got := s.try(t.Context(), transfers("a", "b", "c")); got.err == nil {
		t.Errorf("got %s, want a broken connection", got)
	}
	panics.Store(false)
	got := s.do(transfers("a", "b", "c", "d"))
	if answersOf(t, got.body) != "a=201"+strings.Repeat(" outcome-unknown=409", 2)+" d=201" {
		t.Errorf("got %s", got)
	}
}

func TestBatchWithoutAStore(t *testing.T) {
	t.Parallel()
	for policy, want := range map[refrain.StoreDownPolicy]string{refrain.FailClosed: "503 ", refrain.FailOpen: "200 bypassed"} {
		p := batched()
		p.Operation.StoreDown = policy
		b := newBank()
		s := newSite(t, oneRoute(p), b.ServeHTTP)
		s.store.claims.Store(true)
		got := s.do(transfers("a", "b"))
		if text := fmt.Sprint(got.code, " ", got.status()); text != want {
			t.Errorf("got %s, want %s", text, want)
		}
	}
}

// Outcomes are recorded before the client hears of them; one that is not is marked.
func TestBatchUnrecorded(t *testing.T) {
	t.Parallel()
	b := newBank()
	s := newSite(t, oneRoute(batched()), b.ServeHTTP)
	s.store.settles.Store(true)
	if got := s.do(transfers("a", "b")); got.status() != "unrecorded" || answersOf(t, got.body) != "a=201 b=201" {
		t.Errorf("got %s, want it marked", got)
	}
}

func TestBatchContradictions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(p *refrainhttp.Policy){
		"needs the key": func(p *refrainhttp.Policy) { p.Batch.Key = "" },
		"limit":         func(p *refrainhttp.Policy) { p.Batch.Limit = 1001 },
		"in the body":   func(p *refrainhttp.Policy) { p.Key.From = []string{"body:/id"} },
		"derived":       func(p *refrainhttp.Policy) { p.Key.DeriveWindow = time.Second },
		"sequence":      func(p *refrainhttp.Policy) { p.Key.From = []string{"sequence:X-Sequence"} },
		"first sent":    func(p *refrainhttp.Policy) { p.Key.FirstSent = "First-Sent" },
		"observed":      func(p *refrainhttp.Policy) { p.Mode = refrainhttp.Observe },
		"slash":         func(p *refrainhttp.Policy) { p.Batch.Items = "operations" },
	} {
		p := batched()
		change(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one about %q", err, want)
		}
	}
}

// TestBatchStorm sends overlapping batches over and over, at the same time, to a handler that fails in every way: no item has two
// effects, and each answer stands at the place of its item.
func TestBatchStorm(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for round := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			rnd := dice(seed, round)
			b := newBank()
			b.before = func(w http.ResponseWriter) bool {
				time.Sleep(time.Duration(rnd(500)) * time.Millisecond)
				switch rnd(8) {
				case 0:
					w.WriteHeader([]int{400, 429, 500, 503}[rnd(4)])
					return false
				case 1:
					panic(http.ErrAbortHandler)
				}
				return true
			}
			b.status = func(string) int { return []int{201, 201, 201, 201, 422, 429, 500}[rnd(7)] }
			p := batched()
			p.Operation.Wait = time.Duration(rnd(3)-1) * time.Second
			guard, err := refrain.New(&slowStore{memstore.New(memstore.Config{}), rnd}, refrain.Config{})
			if err != nil {
				t.Fatal(err)
			}
			m, err := refrainhttp.New(guard, oneRoute(p))
			if err != nil {
				t.Fatal(err)
			}
			h := m.Wrap(http.HandlerFunc(b.ServeHTTP))
			for range 40 {
				var ids []string
				for i, n := rnd(8), 1+rnd(6); len(ids) < n; i += 3 { // 3 and 8 have no common divisor
					ids = append(ids, string(rune('a'+i%8)))
				}
				go func() {
					defer func() { _ = recover() }()
					w := httptest.NewRecorder()
					h.ServeHTTP(w, transfers(ids...).request(context.Background(), ""))
					if w.Code != http.StatusOK && w.Code != http.StatusMultiStatus {
						return
					}
					for i, a := range strings.Fields(answersOf(t, w.Body.String())) {
						if len(a) < 8 && !strings.HasPrefix(a, ids[i]+"=") {
							t.Errorf("seed %d round %d: %v got %s", seed, round, ids, w.Body)
						}
					}
				}()
				time.Sleep(time.Duration(rnd(300)) * time.Millisecond)
			}
			time.Sleep(time.Hour)
			b.mu.Lock()
			defer b.mu.Unlock()
			for id, n := range b.ledger {
				if n > 1 {
					t.Errorf("seed %d round %d: %s ran %d times", seed, round, id, n)
				}
			}
		})
	}
}
