package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait of the tests: whoever waits longer has failed.
const patience = 30 * time.Second

// A process is a refrain command in a process of its own.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	exited chan struct{}
	log    lineBuffer
	listen string
	admin  string
}

// start runs `refrain proxy` on free ports, with a log in JSON, and returns once it serves.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := launch(t, append([]string{"proxy", "--log-format", "json"}, args...)...)
	line := p.await("refrain is serving")
	p.listen, p.admin = line["listen"].(string), line["admin"].(string)
	return p
}

// launch runs a command in a process.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, exited: make(chan struct{})}
	p.log.changed = sync.NewCond(&p.log.mu)
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Env = append(os.Environ(), asCommand+"=1", "REFRAIN_LISTEN=127.0.0.1:0", "REFRAIN_ADMIN=127.0.0.1:0")
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the status is in ProcessState
		close(p.exited)
		p.log.end()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("log of %v:\n%s", args, p.log.String())
		}
	})
	return p
}

// await returns the first line of the log with that message, waiting for it.
func (p *process) await(msg string) map[string]any {
	p.t.Helper()
	line, ok := p.log.await(func(line map[string]any) bool { return line["msg"] == msg })
	if !ok {
		p.t.Fatalf("the process did not log %q, but\n%s", msg, p.log.String())
	}
	return line
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits for the process's end and returns its exit status.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("the process does not end\n%s", p.log.String())
		return -1
	}
}

// get returns an answer of the admin address.
func (p *process) get(path string) (status int, body string) {
	p.t.Helper()
	resp, err := http.Get("http://" + p.admin + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// metric returns the value of a series, written as /metrics does.
func (p *process) metric(series string) string {
	p.t.Helper()
	_, text := p.get("/metrics")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// request returns a keyed request.
func (p *process) request(path, key string) (*http.Request, error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+p.listen+path, strings.NewReader(`{"amount":1}`))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer test")
	req.GetBody = nil // the test's own client must not send twice
	return req, nil
}

// post sends a keyed request and returns the answer, with its body read. The error is the client's.
func (p *process) post(path, key string) (*http.Response, string, error) {
	req, err := p.request(path, key)
	if err != nil {
		return nil, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// mustPost does what post does for requests that must be answered.
func (p *process) mustPost(path, key string) (*http.Response, string) {
	p.t.Helper()
	resp, body, err := p.post(path, key)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp, body
}

// A ledger is an upstream that counts executions by key. While its gate is shut, requests wait.
type ledger struct {
	*httptest.Server
	mu    sync.Mutex
	runs  map[string]int
	shut  chan struct{} // nil: open
	inner int           // requests that wait at the gate
}

func newLedger(t *testing.T) *ledger {
	l := &ledger{runs: map[string]int{}}
	l.Server = httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(l.Close)
	return l
}

func (l *ledger) serve(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	_, _ = io.Copy(io.Discard, r.Body)
	l.mu.Lock()
	l.runs[key]++
	l.inner++
	n, gate := len(l.runs), l.shut
	l.mu.Unlock()
	if gate != nil {
		<-gate
	}
	l.mu.Lock()
	l.inner--
	l.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"charge":%d,"key":%q}`, n, key)
}

// close makes later requests wait until the function that it returns is called.
func (l *ledger) close() (open func()) {
	gate := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut = gate
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.shut = nil
		close(gate)
	})
}

func (l *ledger) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inner
}

func (l *ledger) counts() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.runs)
}

// write writes a file of the test and returns its name.
func write(t *testing.T, name, text string) string {
	t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(t.TempDir(), name)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A lineBuffer keeps what a process logs, and wakes those who wait for a line.
type lineBuffer struct {
	mu      sync.Mutex
	changed *sync.Cond
	text    bytes.Buffer
	ended   bool
}

func (b *lineBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.changed.Broadcast()
	return b.text.Write(p)
}

func (b *lineBuffer) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.changed.Broadcast()
}

func (b *lineBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// await returns the first JSON line that is wanted, or false if there is none until the process ends or patience does.
func (b *lineBuffer) await(wanted func(map[string]any) bool) (map[string]any, bool) {
	timeout := time.AfterFunc(patience, b.end)
	defer timeout.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		for line := range strings.Lines(b.text.String()) {
			var fields map[string]any
			if json.Unmarshal([]byte(line), &fields) == nil && wanted(fields) {
				return fields, true
			}
		}
		if b.ended {
			return nil, false
		}
		b.changed.Wait()
	}
}
