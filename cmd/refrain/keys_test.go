package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A clerk is an upstream that notes the bodies it gets, and answers a batch item by item.
type clerk struct {
	*httptest.Server
	entered chan struct{} // gets a value for each request that is held
	mu      sync.Mutex
	notes   []string
	gate    chan struct{} // while not nil, requests are held until it closes
}

func newClerk(t *testing.T) *clerk {
	t.Helper()
	c := &clerk{entered: make(chan struct{}, 10)}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *clerk) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	c.notes = append(c.notes, string(body))
	n, gate := len(c.notes), c.gate
	c.mu.Unlock()
	if gate != nil {
		c.entered <- struct{}{}
		<-gate
	}
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path != "/batches" {
		fmt.Fprintf(w, `{"run":%d}`, n)
		return
	}
	var answers []string
	for range strings.Count(string(body), `"id"`) {
		answers = append(answers, fmt.Sprintf(`{"run":%d}`, n))
	}
	fmt.Fprintf(w, `{"results":[%s]}`, strings.Join(answers, ","))
}

func (c *clerk) hold() (open func()) {
	gate := make(chan struct{})
	set := func(g chan struct{}) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.gate = g
	}
	set(gate)
	return func() {
		set(nil)
		close(gate)
	}
}

func (c *clerk) noted() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{}, c.notes...)
}

const keysFile = `
defaults:
  lease: 100ms
  in_flight: { wait: 0s }
routes:
  - match: POST /comments
    key: { derive: { window: 1d } }
  - match: POST /transfers
    key: { required: true, from: "sequence:X-Sequence", sequence_window: 10 }
  - match: POST /batches
    batch: { items: /operations, key: /id, answers: /results }
`

// keysProxy starts the proxy on the store in the folder.
func keysProxy(t *testing.T, c *clerk, dir string) *process {
	t.Helper()
	file := filepath.Join(dir, "refrain.yaml")
	if err := os.WriteFile(file, []byte(keysFile), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, "--config", file, "--upstream", c.URL, "--store", "pebble:"+filepath.Join(dir, "data"))
}

// say sends alice's request and returns its answer in one line: the status, the word for it and the body.
func (p *process) say(path, body string, header ...string) string {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, "http://"+p.listen+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "alice")
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return "broken"
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return "broken"
	}
	return fmt.Sprintf("%d %s%s %s", res.StatusCode, res.Header.Get("Idempotency-Key-Source"), res.Header.Get("Idempotency-Status"), text)
}

// crash kills the process and starts another one on its store.
func (p *process) crash(c *clerk, dir string) *process {
	p.t.Helper()
	p.signal(os.Kill)
	p.wait()
	return keysProxy(p.t, c, dir)
}

func TestProxyDerivesKeys(t *testing.T) {
	t.Parallel()
	c, dir := newClerk(t), t.TempDir()
	p := keysProxy(t, c, dir)
	for i, want := range []string{`200 derivedexecuted {"run":1}`, `200 derivedreplayed {"run":1}`, `200 derivedreplayed {"run":1}`} {
		if got := p.say("/comments", `{"text":"hello"}`); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if i == 1 {
			p = p.crash(c, dir)
		}
	}
	if got := p.say("/comments", `{"text":"other"}`); got != `200 derivedexecuted {"run":2}` {
		t.Errorf("got %s, want it executed", got)
	}
}

func TestProxyCountsSequences(t *testing.T) {
	t.Parallel()
	c, dir := newClerk(t), t.TempDir()
	p := keysProxy(t, c, dir)
	transfer := func(n string) string { return p.say("/transfers", `{"amount":1}`, "X-Sequence", n) }
	for _, step := range []struct{ n, want string }{
		{"5", `200 executed {"run":1}`},
		{"20", `200 executed {"run":2}`},
		{"15", `200 executed {"run":3}`},
		{"crash", ""},
		{"20", `200 replayed {"run":2}`},
		{"5", `200 replayed {"run":1}`},
		{"6", "409"},
		{"10", "409"},
		{"11", `200 executed {"run":4}`},
		{"021", "400"},
		{"21", `200 executed {"run":5}`},
		{"crash", ""},
		{"11", `200 replayed {"run":4}`},
		{"10", "409"},
	} {
		if step.n == "crash" {
			p = p.crash(c, dir)
			continue
		}
		if got := transfer(step.n); !strings.HasPrefix(got, step.want) {
			t.Errorf("number %s: got %s, want %s", step.n, got, step.want)
		}
	}
	if got := transfer("1"); !strings.Contains(got, "number-passed") {
		t.Errorf("got %s, want number-passed", got)
	}
}

// A crash leaves each item of a batch unknown by itself: what is new beside them runs.
func TestProxyServesBatches(t *testing.T) {
	t.Parallel()
	c, dir := newClerk(t), t.TempDir()
	p := keysProxy(t, c, dir)
	if got := p.say("/batches", `{"operations":[{"id":"a"}]}`); got != `200 executed {"results":[{"run":1}]}` {
		t.Errorf("got %s", got)
	}
	if got := p.say("/batches", `{"operations":[{"id":"b"},{"id":"a"}]}`); got != `200 executed {"results":[{"run":2},{"run":1}]}` {
		t.Errorf("got %s", got)
	}
	open := c.hold()
	broken := make(chan string)
	go func() { broken <- p.say("/batches", `{"operations":[{"id":"c"},{"id":"a"},{"id":"d"}]}`) }()
	<-c.entered
	p.signal(os.Kill)
	if got := <-broken; got != "broken" {
		t.Errorf("got %s, want a broken connection", got)
	}
	p.wait()
	open()
	p = keysProxy(t, c, dir)
	var got string
	eventually(t, "the leases lapse", func() bool {
		got = p.say("/batches", `{"operations":[{"id":"a"},{"id":"c"},{"id":"e"},{"id":"d"}]}`)
		return !strings.Contains(got, "in-progress")
	})
	parts := strings.SplitN(got, "outcome-unknown", 3)
	if len(parts) != 3 || !strings.Contains(parts[0], `[{"run":1},`) || !strings.HasPrefix(got, "207 ") {
		t.Errorf("got %s, want a done, c and d unknown", got)
	}
	want := []string{
		`{"operations":[{"id":"a"}]}`, `{"operations":[{"id":"b"}]}`, `{"operations":[{"id":"c"},{"id":"d"}]}`, `{"operations":[{"id":"e"}]}`,
	}
	if got := c.noted(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the upstream got %q, want %q", got, want)
	}
}
