package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// A till is an API that charges, and can be asked what it charged. The key says how it fails: "cut" commits and cuts the
// connection, "lost" cuts it before, once; "broken" commits and answers 502.
type till struct {
	*httptest.Server
	mu      sync.Mutex
	charges map[string]int
	lost    map[string]bool
	asked   atomic.Int64
	probe   http.HandlerFunc // instead of the truth
}

func newTill(t *testing.T, probe http.HandlerFunc) *till {
	l := &till{charges: map[string]int{}, lost: map[string]bool{}, probe: probe}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /charges", l.charge)
	mux.HandleFunc("GET /charges", l.lookUp)
	mux.HandleFunc("GET /elsewhere", func(w http.ResponseWriter, _ *http.Request) { l.receipt(w) })
	l.Server = httptest.NewServer(mux)
	t.Cleanup(l.Close)
	return l
}

func (l *till) charge(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	key := r.Header.Get("Idempotency-Key")
	l.mu.Lock()
	losing := strings.HasPrefix(key, "lost") && !l.lost[key]
	if l.lost[key] = true; !losing {
		l.charges[key]++
	}
	l.mu.Unlock()
	switch {
	case losing, strings.HasPrefix(key, "cut"):
		panic(http.ErrAbortHandler)
	case strings.HasPrefix(key, "broken"):
		w.WriteHeader(http.StatusBadGateway)
	default:
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "charged %s", key)
	}
}

func (l *till) lookUp(w http.ResponseWriter, r *http.Request) {
	l.asked.Add(1)
	switch {
	case l.probe != nil:
		l.probe(w, r)
	case r.Header.Get("Authorization") != "Bearer test":
		w.WriteHeader(http.StatusForbidden)
	case l.charged(r.URL.Query().Get("key")) == 0:
		w.WriteHeader(http.StatusNotFound)
	default:
		l.receipt(w)
	}
}

const receipt = `{"status":"succeeded"}`

func (l *till) receipt(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, receipt)
}

func (l *till) charged(key string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.charges[key]
}

// probing is a configuration that has the till asked.
func (l *till) probing() string {
	return "upstream: " + l.URL + `
routes:
  - match: POST /charges
    in_flight: { wait: 20s }
    limits: { response_body: 1KiB }
    unknown: probe
    probe:
      url: /charges?key=${key}
      headers: ["Authorization: ${header:Authorization}"]
      happened: { pointer: /status, equals: succeeded }
      did_not_happen: { status: 404 }
      answer: replay
      quiet: 0s
      timeout: 300ms
`
}

func (l *till) proxy(t *testing.T) *process {
	t.Helper()
	return start(t, "--config", write(t, "refrain.yaml", l.probing()), "--store", "pebble:"+t.TempDir())
}

// unknown sends the first attempt, after which nobody knows.
func (p *process) unknown(key string) {
	p.t.Helper()
	if resp, body := p.mustPost("/charges", key); resp.Header.Get("Idempotency-Status") != "unknown" {
		p.t.Fatalf("got %d %v %s, want an unknown operation", resp.StatusCode, resp.Header, body)
	}
}

func TestProbeFindsWhatHappened(t *testing.T) {
	t.Parallel()
	up := newTill(t, nil)
	p := up.proxy(t)
	p.unknown("cut-1")
	for range 3 {
		resp, body := p.mustPost("/charges", "cut-1")
		if resp.StatusCode != http.StatusOK || body != receipt || resp.Header.Get("Idempotency-Status") != "replayed" {
			t.Errorf("got %d %v %s, want what the till said", resp.StatusCode, resp.Header, body)
		}
	}
	if charged, asked := up.charged("cut-1"), up.asked.Load(); charged != 1 || asked != 1 {
		t.Errorf("charged %d times and asked %d times, want 1 and 1", charged, asked)
	}
	if got := p.metric(`refrain_probes_total{answer="happened"}`); got != "1" {
		t.Errorf("got %q probes that found something, want 1", got)
	}
}

func TestProbeFindsWhatDidNotHappen(t *testing.T) {
	t.Parallel()
	up := newTill(t, nil)
	p := up.proxy(t)
	p.unknown("lost-1")
	if n := up.charged("lost-1"); n != 0 {
		t.Fatalf("charged %d times, want the request lost", n)
	}
	for _, want := range []string{"executed", "replayed"} {
		resp, body := p.mustPost("/charges", "lost-1")
		if body != "charged lost-1" || resp.Header.Get("Idempotency-Status") != want {
			t.Errorf("got %d %v %s, want it %s", resp.StatusCode, resp.Header, body, want)
		}
	}
	if n := up.charged("lost-1"); n != 1 {
		t.Errorf("charged %d times, want 1", n)
	}
}

// TestProbeThatCannotTellHolds: the retry is answered although the till is not, and nothing is charged twice.
func TestProbeThatCannotTellHolds(t *testing.T) {
	t.Parallel()
	for name, probe := range map[string]http.HandlerFunc{
		"hangs":     func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"redirects": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusSeeOther) },
		"is long": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"status":"succeeded","x":"%01000d"}`, 1)
		},
		"is broken": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"disagrees": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":"failed"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := newTill(t, probe)
			p := up.proxy(t)
			p.unknown("cut-1")
			for range 3 {
				if resp, body := p.mustPost("/charges", "cut-1"); body == receipt ||
					resp.Header.Get("Idempotency-Status") != "unknown" {
					t.Errorf("got %d %v %s, want it unknown", resp.StatusCode, resp.Header, body)
				}
			}
			if charged, asked := up.charged("cut-1"), up.asked.Load(); charged != 1 || asked == 0 {
				t.Errorf("charged %d times and asked %d times, want it asked and charged once", charged, asked)
			}
			if strings.Contains(p.log.String(), "cut-1") {
				t.Error("the log tells the key")
			}
		})
	}
}

func TestManyRetriesAreOneProbe(t *testing.T) {
	t.Parallel()
	const retries = 20
	inside, open := make(chan struct{}, retries), make(chan struct{})
	var up *till
	up = newTill(t, func(w http.ResponseWriter, _ *http.Request) {
		inside <- struct{}{}
		<-open
		up.receipt(w)
	})
	file := strings.Replace(up.probing(), "300ms", "30s", 1)
	p := start(t, "--config", write(t, "refrain.yaml", file), "--store", "pebble:"+t.TempDir())
	p.unknown("cut-1")
	var all sync.WaitGroup
	for range retries {
		all.Go(func() {
			if resp, body, err := p.post("/charges", "cut-1"); err != nil || body != receipt {
				t.Errorf("got %v %s and error %v, want what the till said", resp, body, err)
			}
		})
	}
	<-inside
	close(open)
	all.Wait()
	if charged, asked := up.charged("cut-1"), up.asked.Load(); charged != 1 || asked != 1 {
		t.Errorf("charged %d times and asked %d times, want 1 and 1", charged, asked)
	}
}

// ops runs the real `refrain ops` against the process, and returns its exit status and what it wrote.
func (p *process) ops(args ...string) (status int, stdout, stderr string) {
	p.t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(os.Args[0], append([]string{"ops"}, args...)...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "REFRAIN_ADMIN="+p.admin)
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // the status is in ProcessState
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// mustOps does what ops does with --json, for what must succeed, and reads the document.
func (p *process) mustOps(into any, args ...string) {
	p.t.Helper()
	status, stdout, stderr := p.ops(append(args, "--json")...)
	if err := json.Unmarshal([]byte(stdout), into); status != statusGood || err != nil {
		p.t.Fatalf("ops %v: got status %d, %s and %s", args, status, stdout, stderr)
	}
}

// found is what `refrain ops find` says of an operation.
type found struct {
	ID, State, Route string
	Fence            uint64
}

func (p *process) find(key string) (op found) {
	p.t.Helper()
	secret := write(p.t, "token.txt", "Bearer test\n")
	p.mustOps(&op, "find", "POST", "/charges", "-H", "Idempotency-Key: "+key, "-H", "Authorization: @"+secret)
	return op
}

// TestOperatorResolvesAfterARestart: what was unknown before the proxy was killed is found, resolved and replayed after.
func TestOperatorResolvesAfterARestart(t *testing.T) {
	t.Parallel()
	up := newTill(t, nil)
	store := "pebble:" + t.TempDir()
	old := start(t, "--upstream", up.URL, "--store", store)
	old.unknown("cut-1")
	old.unknown("lost-1")
	old.signal(syscall.SIGKILL)
	old.wait()

	p := start(t, "--upstream", up.URL, "--store", store)
	cut, lost := p.find("cut-1"), p.find("lost-1")
	if cut.State != "unknown" || cut.Route != "POST /" || cut.Fence == 0 || cut.ID == lost.ID {
		t.Fatalf("got %+v and %+v, want two unknown operations", cut, lost)
	}
	if status, stdout, _ := p.ops("list"); status != statusGood || !strings.Contains(stdout, cut.ID[:16]) ||
		!strings.Contains(stdout, lost.ID[:16]) {
		t.Errorf("got status %d and\n%s\nwant both operations", status, stdout)
	}
	body := write(t, "body", "charged\xff")
	var after found
	p.mustOps(&after, "resolve", cut.ID[:16], "--happened", "--status", "201", "--body", "@"+body, "--reason", "in the ledger, INC-7",
		"--by", "ann", "-H", "X-Charge: 7")
	if after.State != "done" {
		t.Errorf("got %+v, want it done", after)
	}
	p.mustOps(&after, "resolve", lost.ID, "--did-not-happen", "--fence", fmt.Sprint(lost.Fence), "--reason", "nowhere")
	resp, text := p.mustPost("/charges", "cut-1")
	if resp.StatusCode != http.StatusCreated || text != "charged\xff" || resp.Header.Get("X-Charge") != "7" {
		t.Errorf("got %d %v %q, want what the operator said", resp.StatusCode, resp.Header, text)
	}
	if _, text := p.mustPost("/charges", "lost-1"); text != "charged lost-1" {
		t.Errorf("got %q, want it run", text)
	}
	if a, b := up.charged("cut-1"), up.charged("lost-1"); a != 1 || b != 1 {
		t.Errorf("charged %d and %d times, want once each", a, b)
	}
	line := p.await("operation resolved by an operator")
	if line["by"] != "ann" || line["reason"] != "in the ledger, INC-7" || line["op"] != cut.ID[:16] {
		t.Errorf("got line %v, want who and why", line)
	}
	if got := p.metric(`refrain_resolved_total{ending="finished"}`); got != "1" {
		t.Errorf("got %q resolutions, want 1", got)
	}
	if strings.Contains(p.log.String(), "cut-1") || strings.Contains(p.log.String(), "Bearer") {
		t.Error("the log tells a key or a credential")
	}
}

// TestOperatorCannotResolveWhatHasChanged since it was looked at: the fence is another.
func TestOperatorCannotResolveWhatHasChanged(t *testing.T) {
	t.Parallel()
	up := newTill(t, nil)
	p := start(t, "--upstream", up.URL, "--store", "pebble:"+t.TempDir())
	p.unknown("cut-1")
	seen := p.find("cut-1")
	var after found
	p.mustOps(&after, "resolve", seen.ID, "--did-not-happen", "--reason", "a mistake")
	p.unknown("cut-1") // the retry ran, and is unknown again
	status, _, stderr := p.ops("resolve", seen.ID, "--happened", "--fence", fmt.Sprint(seen.Fence), "--reason", "too late")
	if status != statusFault || !strings.Contains(stderr, "has changed since you looked at it") {
		t.Errorf("got status %d and %q, want it refused", status, stderr)
	}
	if now := p.find("cut-1"); now.State != "unknown" || now.Fence <= seen.Fence {
		t.Errorf("got %+v, want it unknown with a fence above %d", now, seen.Fence)
	}
	p.mustOps(&after, "resolve", seen.ID, "--happened", "--reason", "in the ledger")
	status, _, stderr = p.ops("resolve", seen.ID, "--did-not-happen", "--reason", "once more")
	if status != statusFault || !strings.Contains(stderr, "the operation is done") {
		t.Errorf("got status %d and %q, want it refused", status, stderr)
	}
}

// TestOperatorCannotResolveWhatRuns: its owner is alive.
func TestOperatorCannotResolveWhatRuns(t *testing.T) {
	t.Parallel()
	up := newLedger(t)
	p := start(t, "--upstream", up.URL, "--store", "memory:")
	open := up.close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _, _ = p.post("/charges", "k1")
	}()
	eventually(t, "k1 runs", func() bool { return up.waiting() == 1 })
	op := p.find("k1")
	status, _, stderr := p.ops("resolve", op.ID, "--did-not-happen", "--fence", fmt.Sprint(op.Fence), "--reason", "impatience")
	if op.State != "running" || status != statusFault || !strings.Contains(stderr, "it is running") {
		t.Errorf("%+v: got status %d and %q, want it refused", op, status, stderr)
	}
	open()
	<-done
	if n := up.counts()["k1"]; n != 1 {
		t.Errorf("got %d executions, want 1", n)
	}
}

// TestOperatorForgets what is done and nothing else, and its key is new then, also after a restart.
func TestOperatorForgets(t *testing.T) {
	t.Parallel()
	up := newTill(t, nil)
	store := "pebble:" + t.TempDir()
	p := start(t, "--upstream", up.URL, "--store", store)
	p.unknown("cut-1")
	p.mustPost("/charges", "k1")
	p.mustPost("/charges", "k1") // the same bytes once more come from memory
	if status, stdout, _ := p.ops("stats"); status != statusGood || !strings.Contains(stdout, "done     1\n") ||
		!strings.Contains(stdout, "unknown  1  the oldest claimed 20") {
		t.Errorf("got status %d and\n%s\nwant one done and one unknown", status, stdout)
	}
	for key, want := range map[string]int{"cut-1": statusFault, "k1": statusGood} {
		status, stdout, stderr := p.ops("forget", p.find(key).ID[:16], "--yes", "--reason", "INC-8", "--by", "ann")
		if status != want || want == statusFault && !strings.Contains(stderr, "only one that is done or expired can be forgotten") {
			t.Errorf("%s: got status %d, %s and %s, want status %d", key, status, stdout, stderr, want)
		}
	}
	if line := p.await("operation resolved by an operator"); line["by"] != "ann" || line["ending"] != "forgotten" {
		t.Errorf("got line %v, want who and what", line)
	}
	if got := p.metric(`refrain_resolved_total{ending="forgotten"}`); got != "1" {
		t.Errorf("got %q forgotten, want 1", got)
	}
	p.signal(syscall.SIGKILL)
	p.wait()
	p = start(t, "--upstream", up.URL, "--store", store)
	for _, want := range []string{"executed", "replayed"} {
		if resp, _ := p.mustPost("/charges", "k1"); resp.Header.Get("Idempotency-Status") != want {
			t.Errorf("got %v, want it %s", resp.Header, want)
		}
	}
	if a, b := up.charged("k1"), up.charged("cut-1"); a != 2 || b != 1 {
		t.Errorf("charged %d and %d times, want 2 and 1", a, b)
	}
}

func TestOpsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	up := newLedger(t)
	p := start(t, "--upstream", up.URL, "--store", "memory:")
	nowhere := &process{t: t, admin: "127.0.0.1:1"}
	for _, tt := range []struct {
		p      *process
		args   string
		status int
		want   string
	}{
		{nowhere, "list", statusFault, "no proxy answers"},
		{&process{t: t, admin: p.listen}, "list", statusFault, "not as a refrain proxy of this version does"},
		{p, "list --state lost", statusFault, `"lost" is not a state; use running`},
		{p, "show 00", statusFault, "an ID has 64 hexadecimal digits"},
		{p, "show 0000000000000000", statusFault, "there is no such operation"},
		{p, "show", statusMisuse, "missing ID"},
		{p, "shwo", statusMisuse, `unknown command "shwo"; did you mean show?`},
		{p, "find POST charges", statusMisuse, "must begin with a slash"},
		{p, "find POST /charges", statusFault, "the request has no key"},
		{p, "find GET /charges", statusFault, "No route matches GET /charges"},
		{p, "find POST /charges -H Idempotency-Key:@/none", statusMisuse, "no such file"},
		{p, "resolve 0000000000000000", statusMisuse, "--happened or --did-not-happen"},
		{p, "resolve 0000000000000000 --happened --did-not-happen --reason x", statusMisuse, "--happened or --did-not-happen"},
		{p, "resolve 0000000000000000 --happened", statusMisuse, "say why, with --reason"},
		{p, "resolve 0000000000000000 --happened --reason x", statusFault, "there is no such operation"},
		{p, "forget 0000000000000000 --yes", statusMisuse, "say why, with --reason"},
		{p, "forget 0000000000000000 --reason x", statusMisuse, "if that is meant, add --yes"},
		{p, "forget 0000000000000000 --reason x --yes", statusFault, "there is no such operation"},
	} {
		status, _, stderr := tt.p.ops(strings.Fields(tt.args)...)
		if status != tt.status || !strings.Contains(stderr, tt.want) {
			t.Errorf("ops %s: got status %d and %q, want %d and %q", tt.args, status, stderr, tt.status, tt.want)
		}
	}
	if status, stdout, _ := p.ops("list"); status != statusGood || stdout != "No operations (state unknown).\n" {
		t.Errorf("got status %d and %q, want none", status, stdout)
	}
}
