package refrainhttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A site is a real server with a protected handler behind it.
type site struct {
	*httptest.Server
	t      *testing.T
	guard  *refrain.Guard
	store  *faultyStore
	runs   *atomic.Int64 // how often the handler began
	events *eventLog
}

// newSite serves the handler behind a middleware with the config, on a store in memory.
func newSite(t *testing.T, cfg refrainhttp.Config, h http.HandlerFunc) *site {
	t.Helper()
	s := &site{t: t, store: &faultyStore{Store: memstore.New(memstore.Config{})}, runs: new(atomic.Int64), events: &eventLog{}}
	var err error
	if s.guard, err = refrain.New(s.store, refrain.Config{}); err != nil {
		t.Fatal(err)
	}
	if cfg.Observer == nil {
		cfg.Observer = s.events
	}
	m, err := refrainhttp.New(s.guard, cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewUnstartedServer(m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.runs.Add(1)
		h(w, r)
	})))
	s.Config.ErrorLog = nil
	s.Config.ErrorLog = discardLog()
	s.Start()
	t.Cleanup(func() {
		s.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.guard.Close(ctx); err != nil && !s.store.broken() {
			t.Errorf("closing the guard: %v", err)
		}
	})
	return s
}

// A reply is an answer, read to its end.
type reply struct {
	code    int
	header  http.Header
	body    string
	trailer http.Header
	err     error
}

func (r reply) status() string   { return r.header.Get("Idempotency-Status") }
func (r reply) replayed() bool   { return r.header.Get("Idempotent-Replayed") == "true" }
func (r reply) String() string   { return fmt.Sprintf("%d %q %q", r.code, r.header, r.body) }
func (r reply) problem() problem { return parseProblem(r.body) }

// A problem is a problem document.
type problem struct {
	Type, Title, Detail, Code string
	Status                    int
	Retryable                 bool
	Original                  int `json:"original_status"`
}

func parseProblem(body string) problem {
	var p problem
	_ = json.Unmarshal([]byte(body), &p)
	return p
}

// An ask is a request to be sent.
type ask struct {
	method, path, key, body string
	header                  map[string]string
}

func post(key, body string) ask { return ask{key: key, body: body} }

func (a ask) with(name, value string) ask {
	h := map[string]string{name: value}
	for k, v := range a.header {
		if k != name {
			h[k] = v
		}
	}
	a.header = h
	return a
}

func (a ask) request(ctx context.Context, base string) *http.Request {
	if a.method == "" {
		a.method = http.MethodPost
	}
	if a.path == "" {
		a.path = "/charges"
	}
	r, err := http.NewRequestWithContext(ctx, a.method, base+a.path, struct{ io.Reader }{strings.NewReader(a.body)})
	if err != nil {
		panic(err)
	}
	r.ContentLength = int64(len(a.body))
	if a.body == "" {
		r.Body = http.NoBody
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept-Encoding", "identity")
	if a.key != "" {
		r.Header.Set("Idempotency-Key", a.key)
	}
	for k, v := range a.header {
		r.Header.Set(k, v)
	}
	return r
}

func (s *site) do(a ask) reply {
	s.t.Helper()
	r := s.try(s.t.Context(), a)
	if r.err != nil {
		s.t.Fatalf("%s %s: %v", a.method, a.path, r.err)
	}
	return r
}

func (s *site) try(ctx context.Context, a ask) reply {
	res, err := s.Client().Do(a.request(ctx, s.URL))
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(body), res.Trailer, err}
}

// ran checks how often the handler ran.
func (s *site) ran(want int64) {
	s.t.Helper()
	if got := s.runs.Load(); got != want {
		s.t.Errorf("handler ran %d times, want %d", got, want)
	}
}

// same checks that a reply is the replay of another.
func (s *site) same(first, again reply) {
	s.t.Helper()
	if again.code != first.code || again.body != first.body {
		s.t.Errorf("replay got %d %q, want %d %q", again.code, again.body, first.code, first.body)
	}
	if !again.replayed() || again.status() != "replayed" {
		s.t.Errorf("replay got Idempotent-Replayed %q and status %q, want true and replayed",
			again.header.Get("Idempotent-Replayed"), again.status())
	}
}

// A faultyStore fails when it is told to.
type faultyStore struct {
	refrain.Store
	claims, settles atomic.Bool
	only            atomic.Pointer[refrain.ID] // the one operation whose lease may be renewed; nil if all
	beforeSettle    atomic.Pointer[func()]
}

func (f *faultyStore) broken() bool { return f.claims.Load() || f.settles.Load() }

func (f *faultyStore) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	if f.claims.Load() {
		return refrain.Decision{}, refrain.ErrUnavailable
	}
	return f.Store.Claim(ctx, c)
}

func (f *faultyStore) Renew(ctx context.Context, r refrain.Renewal) error {
	if id := f.only.Load(); id != nil && *id != r.ID {
		return refrain.ErrStale
	}
	return f.Store.Renew(ctx, r)
}

func (f *faultyStore) Settle(ctx context.Context, e refrain.Settlement) (refrain.Record, error) {
	if hook := f.beforeSettle.Load(); hook != nil {
		(*hook)()
	}
	if f.settles.Load() {
		return refrain.Record{}, refrain.ErrUnavailable
	}
	return f.Store.Settle(ctx, e)
}

// An eventLog remembers events.
type eventLog struct {
	mu  sync.Mutex
	all []refrainhttp.Event
}

func (l *eventLog) ObserveRequest(e refrainhttp.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, e)
}

func (l *eventLog) statuses() []refrainhttp.Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []refrainhttp.Status
	for _, e := range l.all {
		out = append(out, e.Status)
	}
	return out
}

// eventually polls a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// charge is a handler with an answer of its own each time.
func charge() http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"charge":%d,"for":%q}`, n.Add(1), body)
	}
}

// oneRoute protects POST on every path with the policy.
func oneRoute(p refrainhttp.Policy) refrainhttp.Config { return refrainhttp.Config{Policy: p} }

// atOnce is a policy under which duplicates do not wait.
func atOnce() refrainhttp.Policy {
	return refrainhttp.Policy{Operation: refrain.Policy{Wait: -1}}
}
