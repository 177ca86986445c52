package clients

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// An api is what stands behind the proxy. It counts what it carries out.
type api struct {
	mu   sync.Mutex
	runs []string      // the keys, in order
	news chan struct{} // has room for all of them
	gate chan struct{} // closed: answers go out
	drop atomic.Bool   // it hangs up instead of answering
}

func newAPI() *api {
	open := make(chan struct{})
	close(open)
	return &api{news: make(chan struct{}, 64), gate: open}
}

// hold keeps answers back until open is called.
func (a *api) hold() (open func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	gate := make(chan struct{})
	a.gate = gate
	return func() { close(gate) }
}

func (a *api) keys() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.runs...)
}

// ServeHTTP carries out a request and tells what came of it as Stripe would.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	a.mu.Lock()
	a.runs = append(a.runs, r.Header.Get("Idempotency-Key"))
	id, gate := fmt.Sprintf("pi_%d", len(a.runs)), a.gate
	a.mu.Unlock()
	a.news <- struct{}{}
	<-gate
	if a.drop.Load() {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"id":%q,"object":"payment_intent"}`, id)
}

// scratch is a folder of all tests.
var scratch string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "refrain-clients-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	scratch = dir
	return m.Run()
}

// program is the proxy, built once.
var program = sync.OnceValues(func() (string, error) {
	name := filepath.Join(scratch, "refrain")
	if out, err := exec.Command("go", "build", "-o", name, "github.com/refrain-dev/refrain/cmd/refrain").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building refrain: %w\n%s", err, out)
	}
	return name, nil
})

const file = `defaults:
  dialect: stripe
routes:
  - match: POST /v1/
  - match: POST /v1/refunds
    in_flight: { wait: 0s }
`

// startProxy runs refrain proxy in front of an API and returns its address.
func startProxy(t *testing.T, upstream http.Handler) string {
	t.Helper()
	server := httptest.NewServer(upstream)
	t.Cleanup(server.Close)
	name, err := program()
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "refrain.yaml")
	if err := os.WriteFile(config, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, "proxy", "--config", config, "--upstream", server.URL, "--store", "memory:",
		"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewReader(log)
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatalf("the proxy did not start: %s", text)
		}
		var line struct{ Msg, Listen string }
		if json.Unmarshal(text, &line) == nil && line.Msg == "refrain is serving" {
			go func() { _, _ = lines.WriteTo(io.Discard) }()
			return line.Listen
		}
	}
}

// A relay is the network between a client and the proxy.
type relay struct {
	net.Listener
	to     string
	cuts   atomic.Int32 // how many of the next answers are lost
	joined chan struct{}
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l, to: to, joined: make(chan struct{}, 64)}
	t.Cleanup(func() { _ = l.Close() })
	go r.serve()
	return r
}

func (r *relay) url() string { return "http://" + r.Addr().String() }

func (r *relay) serve() {
	for {
		c, err := r.Accept()
		if err != nil {
			return
		}
		go r.carry(c)
	}
}

// carry carries a connection, until an answer is lost.
func (r *relay) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer server.Close()
	r.joined <- struct{}{}
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	b := make([]byte, 32<<10)
	for {
		n, err := server.Read(b)
		if err != nil || r.cuts.Add(-1) >= 0 {
			return
		}
		if _, err := client.Write(b[:n]); err != nil {
			return
		}
	}
}
