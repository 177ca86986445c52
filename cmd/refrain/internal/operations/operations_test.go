package operations

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A desk is an operator's: the API of a guard, with a client, and a handler behind the middleware of the same guard.
type desk struct {
	*Client
	t       *testing.T
	guard   *refrain.Guard
	store   refrain.Store
	handler http.Handler
	server  *httptest.Server
	runs    atomic.Int64
	log     *buffer
}

// A buffer may be written to and read concurrently.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newDesk has a handler that answers with the request's status header, and 502 unless told otherwise.
func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, store: memstore.New(memstore.Config{}), log: &buffer{}}
	log := slog.New(slog.NewTextHandler(d.log, nil))
	var err error
	if d.guard, err = refrain.New(d.store, refrain.Config{Logger: log}); err != nil {
		t.Fatal(err)
	}
	policy := refrainhttp.Policy{Key: refrainhttp.Key{From: []string{"header:Idempotency-Key", "body:/key"}}}
	m, err := refrainhttp.New(d.guard, refrainhttp.Config{Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	d.handler = m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.runs.Add(1)
		if r.Header.Get("X-Good") != "" {
			w.WriteHeader(http.StatusCreated)
			return
		}
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "s3cret-body")
	}))
	d.server = httptest.NewServer(Handler(Config{
		Guard: d.guard, Store: d.store, Logger: log, Identify: m.Identify,
		Keep: refrain.Keep{Retention: time.Hour, Tombstone: time.Hour},
	}))
	t.Cleanup(d.server.Close)
	d.Client = NewClient(strings.TrimPrefix(d.server.URL, "http://"))
	return d
}

// send sends the client's request with that key.
func (d *desk) send(key string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/charges", strings.NewReader("{}"))
	r.Header.Set("Idempotency-Key", key)
	r.Header.Set("Authorization", "Bearer s3cret")
	for _, name := range headers {
		r.Header.Set(name, "1")
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w
}

// find returns the operation of that key.
func (d *desk) find(key string) Operation {
	d.t.Helper()
	op, err := d.Find(d.t.Context(), Request{
		Method: "POST", URL: "/charges",
		Headers: map[string][]string{"idempotency-key": {key}, "authorization": {"Bearer s3cret"}},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return op
}

func word(outcome string, fence uint64) Resolution {
	return Resolution{Outcome: outcome, Fence: fence, Reason: "looked it up", By: "ann"}
}

// fails checks that an error is the problem with that status and code.
func fails(t *testing.T, err error, status int, code string) {
	t.Helper()
	p, ok := errors.AsType[*Problem](err)
	if !ok || p.Status != status || p.Code != code || p.Detail == "" {
		t.Errorf("got error %#v, want %d %s", err, status, code)
	}
}

func TestAnUnknownOperationIsFoundAndResolvedAsDone(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.send("s3cret-key")
	op := d.find("s3cret-key")
	if op.State != "unknown" || op.Route != "POST /" || op.Answer == nil || *op.Answer != (Answer{502, 11, true}) {
		t.Fatalf("got %+v, want it unknown with a 502 of 11 bytes", op)
	}
	said := word(Happened, op.Fence)
	said.Status, said.Headers, said.Body = 201, map[string][]string{"x-charge": {"7"}}, `{"id":7}`
	after, err := d.Resolve(t.Context(), op.ID[:shortestName], said)
	if err != nil || after.State != "done" || after.ID != op.ID {
		t.Fatalf("got %+v and error %v, want it done", after, err)
	}
	if w := d.send("s3cret-key"); w.Code != 201 || w.Body.String() != `{"id":7}` || w.Header().Get("X-Charge") != "7" ||
		w.Header().Get("Idempotency-Status") != "replayed" {
		t.Errorf("got %d %v %s, want what the operator said", w.Code, w.Header(), w.Body)
	}
	if n := d.runs.Load(); n != 1 {
		t.Errorf("got %d runs, want 1", n)
	}
	if left := time.Until(after.Retain); left > time.Hour || left < time.Minute {
		t.Errorf("it is replayed for %s, want the hour that was configured", left)
	}
	log := d.log.String()
	if !strings.Contains(log, `by=ann`) || !strings.Contains(log, `reason="looked it up"`) || strings.Contains(log, "s3cret") {
		t.Errorf("got log\n%s\nwant who and why, and no secret", log)
	}
}

func TestAnOperationResolvedWithoutItsAnswerIsKnownAsDone(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.send("k")
	if _, err := d.Resolve(t.Context(), d.find("k").ID, word(Happened, 1)); err != nil {
		t.Fatal(err)
	}
	if w := d.send("k"); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "not-replayable") {
		t.Errorf("got %d %s, want word that it is done", w.Code, w.Body)
	}
}

func TestAnOperationThatDidNotHappenRunsAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.send("k")
	op := d.find("k")
	if after, err := d.Resolve(t.Context(), op.ID, word(DidNotHappen, op.Fence)); err != nil || after.State != "absent" {
		t.Fatalf("got %+v and error %v, want it released", after, err)
	}
	_, err := d.Get(t.Context(), op.ID)
	fails(t, err, 404, "not-found")
	if w := d.send("k", "X-Good"); w.Code != http.StatusCreated || d.runs.Load() != 2 {
		t.Errorf("got %d after %d runs, want it run", w.Code, d.runs.Load())
	}
	_, err = d.Resolve(t.Context(), op.ID, word(DidNotHappen, op.Fence))
	fails(t, err, 409, "changed")
	_, err = d.Resolve(t.Context(), op.ID, word(DidNotHappen, d.find("k").Fence))
	fails(t, err, 422, "wrong-state")
	if w := d.send("k"); w.Header().Get("Idempotency-Status") != "replayed" {
		t.Errorf("got %v, want the outcome replayed", w.Header())
	}
}

// TestAnOwnerThatComesLateAndAnOperatorNeverBothCount: whoever is first is right.
func TestAnOwnerThatComesLateAndAnOperatorNeverBothCount(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	other, err := refrain.New(d.store, refrain.Config{}) // that of a process that was cut off
	if err != nil {
		t.Fatal(err)
	}
	lapsed := func(key string) (*refrain.Attempt, string) {
		a, err := other.Begin(t.Context(), refrain.Operation{
			Key: key, Policy: &refrain.Policy{Lease: 100 * time.Millisecond, Timeout: time.Millisecond},
		})
		if err != nil || a.Verdict != refrain.Run {
			t.Fatalf("got %v and error %v, want it run", a, err)
		}
		id := a.ID()
		name := fmt.Sprintf("%x", id[:])
		for {
			if op, err := d.Get(t.Context(), name); err == nil && op.State == "unknown" {
				return a, name
			}
		}
	}
	late, name := lapsed("owner first")
	if err := late.Finish(t.Context(), refrain.Outcome{Status: 7}); err != nil {
		t.Fatal(err)
	}
	_, err = d.Resolve(t.Context(), name, word(DidNotHappen, late.Fence()))
	fails(t, err, 422, "wrong-state")

	late, name = lapsed("operator first")
	if _, err := d.Resolve(t.Context(), name, word(Happened, late.Fence())); err != nil {
		t.Fatal(err)
	}
	if err := late.Finish(t.Context(), refrain.Outcome{Status: 7}); !errors.Is(err, refrain.ErrStale) {
		t.Errorf("got error %v, want the late owner refused", err)
	}

	for i := range 20 {
		late, name = lapsed(fmt.Sprint("both at once ", i))
		fence := late.Fence()
		var finished, resolved error
		var both sync.WaitGroup
		both.Go(func() { finished = late.Finish(t.Context(), refrain.Outcome{Status: 7}) })
		both.Go(func() { _, resolved = d.Resolve(t.Context(), name, word(DidNotHappen, fence)) })
		both.Wait()
		if (finished == nil) == (resolved == nil) {
			t.Fatalf("the owner got %v and the operator %v, want one refused", finished, resolved)
		}
	}
}

func TestOfTwoOperatorsOneIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.send("k")
	op := d.find("k")
	var won atomic.Int64
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			outcome := []string{Happened, DidNotHappen}[i%2]
			if _, err := d.Resolve(t.Context(), op.ID, word(outcome, op.Fence)); err == nil {
				won.Add(1)
			} else if p, ok := errors.AsType[*Problem](err); !ok || p.Status/100 != 4 {
				t.Errorf("got error %v, want a refusal", err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d operators were believed, want 1", won.Load())
	}
}

func TestTheListGoesOnPageByPage(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	want := map[string]bool{}
	for i := range 25 {
		key := fmt.Sprint("k", i)
		d.send(key)
		want[d.find(key).ID] = true
	}
	d.send("good", "X-Good")
	after := ""
	for range 3 {
		page, err := d.List(t.Context(), "unknown", 10, after)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range page.Operations {
			if !want[op.ID] || op.State != "unknown" {
				t.Errorf("got %+v, which is listed already or not unknown", op)
			}
			delete(want, op.ID)
		}
		after = page.Next
	}
	if len(want) != 0 || after != "" {
		t.Errorf("%d operations are missing, and there are more behind %q", len(want), after)
	}
	if page, err := d.List(t.Context(), "done", 10, ""); err != nil || len(page.Operations) != 1 {
		t.Errorf("got %+v and error %v, want the one that is done", page, err)
	}
}

func TestKeysInBodiesAreFound(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.send("k")
	op, err := d.Find(t.Context(), Request{
		Method: "POST", URL: "http://shop.example/charges", Body: `{"key":"k"}`,
		Headers: map[string][]string{"Authorization": {"Bearer s3cret"}},
	})
	if err != nil || op.ID != d.find("k").ID {
		t.Errorf("got %+v and error %v, want the same operation", op, err)
	}
}

func TestWhatCannotBe(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.send("k")
	op := d.find("k")
	find := func(r Request) error { _, err := d.Find(t.Context(), r); return err }
	fails(t, find(Request{Method: "GET", URL: "/charges"}), 422, "no-operation")
	fails(t, find(Request{Method: "POST", URL: "/charges"}), 422, "no-operation")
	fails(t, find(Request{URL: "/charges"}), 400, "bad-request")
	fails(t, find(Request{Method: "POST", URL: "/charges", Remote: "10.0.0.1:80"}), 400, "bad-request")
	fails(t, find(Request{Method: "POST", URL: "/charges", Headers: map[string][]string{
		"idempotency-key": {"k"}, "Idempotency-Key": {"j"},
	}}), 400, "bad-request")
	fails(t, find(Request{Method: "P T", URL: "/"}), 400, "bad-request")
	for id, code := range map[string]string{"abc": "bad-id", strings.Repeat("z", 64): "bad-id", strings.Repeat("a", 65): "bad-id"} {
		_, err := d.Get(t.Context(), id)
		fails(t, err, 400, code)
	}
	_, err := d.Get(t.Context(), strings.Repeat("0", 16))
	fails(t, err, 404, "not-found")
	_, err = d.List(t.Context(), "lost", 10, "")
	fails(t, err, 400, "bad-state")
	_, err = d.List(t.Context(), "all", 0, "")
	fails(t, err, 400, "bad-limit")
	for name, change := range map[string]func(*Resolution){
		"no reason":      func(r *Resolution) { r.Reason = "" },
		"nobody":         func(r *Resolution) { r.By = "" },
		"no fence":       func(r *Resolution) { r.Fence = 0 },
		"no outcome":     func(r *Resolution) { r.Outcome = "" },
		"another word":   func(r *Resolution) { r.Outcome = "maybe" },
		"no status":      func(r *Resolution) { r.Body = "x" },
		"no such status": func(r *Resolution) { r.Status = 600 },
		"two bodies":     func(r *Resolution) { r.Status, r.Body, r.Binary = 200, "x", []byte("y") },
		"no body there":  func(r *Resolution) { r.Status, r.Body = 204, "x" },
		"one header twice": func(r *Resolution) {
			r.Status, r.Headers = 200, map[string][]string{"X-A": {"1"}, "x-a": {"2"}}
		},
		"split header": func(r *Resolution) { r.Status, r.Headers = 200, map[string][]string{"X": {"a\r\nSet-Cookie: b"}} },
		"answered no":  func(r *Resolution) { r.Outcome, r.Status = DidNotHappen, 200 },
	} {
		said := word(Happened, op.Fence)
		change(&said)
		_, err := d.Resolve(t.Context(), op.ID, said)
		if p, ok := errors.AsType[*Problem](err); !ok || p.Status != 400 {
			t.Errorf("%s: got error %v, want 400", name, err)
		}
	}
	if d.find("k").State != "unknown" {
		t.Error("nonsense has resolved the operation")
	}
}

func TestAnOperationThatIsForgottenRunsAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.send("s3cret-key", "X-Good")
	op := d.find("s3cret-key")
	said := Oblivion{Fence: op.Fence, Reason: "a mistake", By: "ann"}
	for name, change := range map[string]func(*Oblivion){
		"no reason": func(o *Oblivion) { o.Reason = "" },
		"nobody":    func(o *Oblivion) { o.By = "" },
		"no fence":  func(o *Oblivion) { o.Fence = 0 },
	} {
		bad := said
		change(&bad)
		if _, err := d.Forget(t.Context(), op.ID, bad); err == nil {
			t.Errorf("%s: it is forgotten", name)
		}
	}
	_, err := d.Forget(t.Context(), op.ID, Oblivion{Fence: op.Fence + 1, Reason: "a mistake", By: "ann"})
	fails(t, err, 409, "changed")
	if after, err := d.Forget(t.Context(), op.ID[:shortestName], said); err != nil || after.State != "absent" {
		t.Fatalf("got %+v and error %v, want it forgotten", after, err)
	}
	_, err = d.Forget(t.Context(), op.ID, said)
	fails(t, err, 404, "not-found")
	if w := d.send("s3cret-key"); w.Code != 502 || d.runs.Load() != 2 {
		t.Errorf("got %d after %d runs, want it run", w.Code, d.runs.Load())
	}
	said.Fence = d.find("s3cret-key").Fence
	_, err = d.Forget(t.Context(), op.ID, said)
	fails(t, err, 422, "wrong-state")
	if d.find("s3cret-key").State != "unknown" {
		t.Error("what is unknown is forgotten")
	}
	log := d.log.String()
	if !strings.Contains(log, "ending=forgotten") || !strings.Contains(log, `by=ann`) || strings.Contains(log, "s3cret") {
		t.Errorf("got log\n%s\nwant who and what, and no secret", log)
	}
}

// TestMarksAreNoOperations: they are neither listed nor counted, and stay.
func TestMarksAreNoOperations(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for i := range 3 {
		if _, _, err := d.guard.Raise(t.Context(), refrain.Scope{Principal: fmt.Sprint(i)}, 7); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.guard.Close(t.Context()); err != nil { // what is tidied is tidied
		t.Fatal(err)
	}
	if page, err := d.List(t.Context(), "all", 1, ""); err != nil || len(page.Operations) != 0 || page.Next != "" {
		t.Errorf("got %+v and error %v, want no operation", page, err)
	}
	if s, err := d.Stats(t.Context()); err != nil || s != (Stats{}) {
		t.Errorf("got %+v and error %v, want no operation", s, err)
	}
	marks, err := d.store.(refrain.Lister).List(t.Context(), refrain.ListQuery{})
	if err != nil || len(marks) != 3 {
		t.Fatalf("got %d marks and error %v, want 3", len(marks), err)
	}
	op, err := d.Get(t.Context(), marks[0].ID.String())
	if err != nil || !op.Mark {
		t.Errorf("got %+v and error %v, want word that it is a mark", op, err)
	}
}

func TestStatsCountEveryOperation(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	const done = maxLimit + 7 // more than a page
	for i := range done {
		d.send(fmt.Sprint("good", i), "X-Good")
	}
	for i := range 3 {
		d.send(fmt.Sprint("bad", i))
	}
	s, err := d.Stats(t.Context())
	if oldest := d.find("bad0").Created; err != nil || s != (Stats{Unknown: 3, Done: done, Oldest: oldest}) {
		t.Errorf("got %+v and error %v, want 3 unknown, the oldest of %s, and %d done", s, err, oldest, done)
	}
}

// A walker is a store that does not like pages.
type walker struct{ refrain.Store }

func (w walker) Walk(ctx context.Context, f func(refrain.Listed)) error {
	all, err := w.Store.(refrain.Lister).List(ctx, refrain.ListQuery{Limit: 1 << 20})
	for _, l := range all {
		f(l)
	}
	return err
}

func TestStatsWalkWhereTheyCan(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for i := range 3 {
		d.send(fmt.Sprint("good", i), "X-Good")
	}
	d.send("bad")
	if _, _, err := d.guard.Raise(t.Context(), refrain.Scope{}, 7); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(Handler(Config{Guard: d.guard, Store: walker{d.store}, Logger: slog.New(slog.DiscardHandler)}))
	defer server.Close()
	s, err := NewClient(server.Listener.Addr().String()).Stats(t.Context())
	if err != nil || s.Done != 3 || s.Unknown != 1 || s.Running != 0 {
		t.Errorf("got %+v and error %v, want 3 done and 1 unknown, without the mark", s, err)
	}
}

// TestOnlyProgramsOfThisMachineAreAnswered: no page, no other host, nobody through a proxy.
func TestOnlyProgramsOfThisMachineAreAnswered(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.send("k")
	op := d.find("k")
	said, _ := json.Marshal(word(DidNotHappen, op.Fence))
	h := Handler(Config{Guard: d.guard, Store: d.store, Logger: slog.New(slog.DiscardHandler)})
	for name, change := range map[string]func(*http.Request){
		"another machine":       func(r *http.Request) { r.RemoteAddr = "10.0.0.7:1234" },
		"another machine, IPv6": func(r *http.Request) { r.RemoteAddr = "[2001:db8::1]:1234" },
		"an address in disguise": func(r *http.Request) {
			r.RemoteAddr = "[::ffff:10.0.0.7]:1234"
		},
		"a proxy":       func(r *http.Request) { r.Header.Set("X-Forwarded-For", "127.0.0.1") },
		"another proxy": func(r *http.Request) { r.Header.Set("Via", "1.1 x") },
		"a proxy that adds a line": func(r *http.Request) {
			r.Header["X-Forwarded-For"] = []string{"", "203.0.113.9"}
		},
		"a proxy that says nothing": func(r *http.Request) { r.Header["X-Real-Ip"] = []string{""} },
		"a name that looks like an address": func(r *http.Request) {
			r.Host = "127.0.0.1.evil.example:8081"
		},
		"no name":                  func(r *http.Request) { r.Host = "" },
		"a page of another port":   func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:3000") },
		"a request from same site": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"DNS rebinding":            func(r *http.Request) { r.Host = "evil.example:8081" },
		"a page":                   func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"a sandboxed page":         func(r *http.Request) { r.Header.Set("Origin", "null") },
		"a cross-site request": func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		},
		"a form":       func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") },
		"a plain form": func(r *http.Request) { r.Header.Set("Content-Type", "text/plain; application/json") },
		"no type":      func(r *http.Request) { r.Header.Del("Content-Type") },
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			target := Path + "/" + op.ID
			if method == http.MethodPost {
				target += "/resolve"
			}
			r := httptest.NewRequest(method, target, bytes.NewReader(said))
			r.Host, r.RemoteAddr = "127.0.0.1:8081", "127.0.0.1:1234"
			r.Header.Set("Content-Type", "application/json")
			change(r)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			isType := slices.Contains([]string{"a form", "a plain form", "no type"}, name)
			if isType != (w.Code == http.StatusUnsupportedMediaType) && method == http.MethodPost ||
				!isType && w.Code != http.StatusForbidden || w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s, %s: got %d %s, want it refused", name, method, w.Code, w.Body)
			}
		}
	}
	if d.find("k").State != "unknown" {
		t.Error("a stranger has resolved the operation")
	}
}

// TestNothingSecretIsShown in any answer.
func TestNothingSecretIsShown(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.send("s3cret-key")
	op := d.find("s3cret-key")
	for _, target := range []string{
		Path, Path + "?state=all", Path + "/" + op.ID, Path + "/" + op.ID + "/resolve", Path + "/identify",
		Path + "/" + op.ID + "/forget", Path + "/stats",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r, err := http.NewRequestWithContext(context.Background(), method, d.server.URL+target, strings.NewReader(
				`{"method":"POST","url":"/charges","headers":{"Idempotency-Key":["s3cret-key"],"Authorization":["Bearer s3cret"]}}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if strings.Contains(string(text), "s3cret") {
				t.Errorf("%s %s: got %s", method, target, text)
			}
			if resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s may be cached", method, target)
			}
		}
	}
}

// TestTheClientFollowsNobody: what it asks holds credentials.
func TestTheClientFollowsNobody(t *testing.T) {
	t.Parallel()
	var strangers atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strangers.Add(1) }))
	defer other.Close()
	liar := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer liar.Close()
	_, err := NewClient(strings.TrimPrefix(liar.URL, "http://")).Find(t.Context(), Request{Method: "POST", URL: "/"})
	if err == nil || strangers.Load() != 0 {
		t.Errorf("got error %v, and %d requests elsewhere", err, strangers.Load())
	}
}
