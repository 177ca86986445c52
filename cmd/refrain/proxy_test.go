package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestProxyRunsOnceAndReplays(t *testing.T) {
	t.Parallel()
	up := newLedger(t)
	p := start(t, "--upstream", up.URL, "--store", "pebble:"+t.TempDir())
	first, body := p.mustPost("/charges", "k1")
	again, replayed := p.mustPost("/charges", "k1")
	if first.Header.Get("Idempotency-Status") != "executed" || again.Header.Get("Idempotency-Status") != "replayed" {
		t.Errorf("got statuses %q and %q, want executed and replayed", first.Header.Get("Idempotency-Status"),
			again.Header.Get("Idempotency-Status"))
	}
	if again.StatusCode != http.StatusCreated || replayed != body {
		t.Errorf("got replay %d %s, want %d %s", again.StatusCode, replayed, first.StatusCode, body)
	}
	if n := up.counts()["k1"]; n != 1 {
		t.Errorf("got %d executions, want 1", n)
	}
}

func TestAdminTellsHealthAndMetrics(t *testing.T) {
	t.Parallel()
	up := newLedger(t)
	p := start(t, "--upstream", up.URL, "--store", "memory:")
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if status, body := p.get(path); status != http.StatusOK || body != want {
			t.Errorf("%s: got %d %q, want 200 %q", path, status, body, want)
		}
	}
	for _, path := range []string{"/", "/debug/pprof/", "/debug/vars"} {
		if status, _ := p.get(path); status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, status)
		}
	}
	p.mustPost("/charges", "secret-key-1")
	p.mustPost("/charges", "secret-key-1")
	open := up.close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _, _ = p.post("/charges", "k2")
	}()
	eventually(t, "k2 runs", func() bool { return up.waiting() == 1 })
	for series, want := range map[string]string{
		`refrain_requests_total{route="POST /",status="executed"}`:                 "1",
		`refrain_requests_total{route="POST /",status="replayed"}`:                 "1",
		`refrain_requests_total{route="PATCH /",status="executed"}`:                "0",
		`refrain_request_duration_seconds_count{route="POST /",status="executed"}`: "1",
		`refrain_request_duration_seconds_count{route="POST /",status="replayed"}`: "1",
		`refrain_verdicts_total{verdict="run"}`:                                    "2",
		`refrain_verdicts_total{verdict="replay"}`:                                 "1",
		`refrain_endings_total{ending="finished"}`:                                 "1",
		`refrain_running`:                                          "1",
		`refrain_unrecorded`:                                       "0",
		`refrain_store_info{tier="volatile"}`:                      "1",
		`refrain_store_errors_total{call="claim"}`:                 "0",
		`refrain_config_last_reload_successful`:                    "1",
		`refrain_store_call_duration_seconds_count{call="settle"}`: "1",
	} {
		if got := p.metric(series); got != want {
			t.Errorf("%s: got %q, want %q", series, got, want)
		}
	}
	if _, text := p.get("/metrics"); strings.Contains(text, "secret-key-1") || strings.Contains(text, "Bearer") {
		t.Error("/metrics tells a key or a credential")
	}
	open()
	<-done
}

func TestLogsNeverTellKeysOrCredentials(t *testing.T) {
	t.Parallel()
	up := newLedger(t)
	p := start(t, "--upstream", up.URL, "--store", "memory:", "--log-level", "debug")
	p.mustPost("/charges?token=s3cret", "secret-key-1")
	line := p.await("request")
	if line["status"] != "executed" || line["route"] != "POST /" || line["level"] != "DEBUG" {
		t.Errorf("got line %v, want the decision at debug", line)
	}
	up.Close()
	p.mustPost("/charges", "secret-key-2") // refused by the dead upstream
	p.signal(syscall.SIGTERM)
	p.wait()
	for _, secret := range []string{"secret-key", "s3cret", "Bearer", "amount"} {
		if strings.Contains(p.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

const reloadMetric = "refrain_config_last_reload_successful"

func TestReload(t *testing.T) {
	t.Parallel()
	up := newLedger(t)
	file := write(t, "refrain.yaml", "upstream: "+up.URL+"\n")
	p := start(t, "--config", file, "--store", "memory:")
	write(t, file, "upstream: "+up.URL+"\nroutes:\n  - match: PUT /charges\n    lease: never\n")
	p.signal(syscall.SIGHUP)
	line := p.await("configuration not reloaded, the old one stays in force")
	if err := fmt.Sprint(line["err"]); !strings.Contains(err, file+":4:12: routes[0].lease: ") {
		t.Errorf("got %q, want it to name the file and the line", err)
	}
	eventually(t, "metric of a failed reload", func() bool { return p.metric(reloadMetric) == "0" })
	if first, _ := p.mustPost("/charges", "k1"); first.Header.Get("Idempotency-Status") != "executed" {
		t.Errorf("got status %q under the old configuration, want executed", first.Header.Get("Idempotency-Status"))
	}

	write(t, file, "upstream: "+up.URL+"\nlisten: 127.0.0.1:1\nroutes:\n  - match: PUT /charges\n")
	p.signal(syscall.SIGHUP)
	p.await("configuration reloaded")
	eventually(t, "metric of a good reload", func() bool { return p.metric(reloadMetric) == "1" })
	if first, _ := p.mustPost("/charges", "k2"); first.Header.Get("Idempotency-Status") != "" {
		t.Errorf("got status %q on a route that is protected no more", first.Header.Get("Idempotency-Status"))
	}
}

// What was answered again and again from memory is a question to the new configuration once that is in force.
func TestReloadForgetsWhatWasRepeated(t *testing.T) {
	t.Parallel()
	up := newLedger(t)
	file := write(t, "refrain.yaml", "upstream: "+up.URL+"\n")
	p := start(t, "--config", file, "--store", "pebble:"+t.TempDir())
	for _, want := range []string{"executed", "replayed", "replayed", "replayed", "replayed"} {
		if resp, _ := p.mustPost("/charges", "k1"); resp.Header.Get("Idempotency-Status") != want {
			t.Errorf("got status %q, want %q", resp.Header.Get("Idempotency-Status"), want)
		}
	}
	for series, want := range map[string]string{
		`refrain_requests_total{route="POST /",status="replayed"}`:                 "4",
		`refrain_request_duration_seconds_count{route="POST /",status="replayed"}`: "4",
		`refrain_verdicts_total{verdict="replay"}`:                                 "4",
	} {
		if got := p.metric(series); got != want {
			t.Errorf("%s: got %q, want %q", series, got, want)
		}
	}
	write(t, file, "upstream: "+up.URL+"\nroutes:\n  - match: PUT /charges\n")
	p.signal(syscall.SIGHUP)
	p.await("configuration reloaded")
	if resp, _ := p.mustPost("/charges", "k1"); resp.Header.Get("Idempotency-Status") != "" {
		t.Errorf("got status %q on a route that is protected no more", resp.Header.Get("Idempotency-Status"))
	}
}

func TestReloadSaysWhatTakesARestart(t *testing.T) {
	t.Parallel()
	up := newLedger(t)
	file := write(t, "refrain.yaml", "upstream: "+up.URL+"\nstore: \"memory:\"\n")
	p := start(t, "--config", file)
	write(t, file, "upstream: "+up.URL+"\nstore: pebble:./elsewhere\n")
	p.signal(syscall.SIGHUP)
	line := p.await("this change takes a restart")
	if line["setting"] != "store" || line["in_force"] != "memory:" || line["file"] != "pebble:./elsewhere" {
		t.Errorf("got %v, want it to name the store", line)
	}
	p.await("configuration reloaded")
	if resp, _ := p.mustPost("/charges", "k1"); resp.StatusCode != http.StatusCreated {
		t.Errorf("got %d, want the old store to serve", resp.StatusCode)
	}
}

// A key that a reload makes new would run a retry again, and nothing else would tell.
func TestReloadSaysWhichKeysAreNew(t *testing.T) {
	t.Parallel()
	up := newLedger(t)
	const routes = "routes:\n  - { match: POST /same, retention: 1h }\n  - match: POST /charges\n"
	file := write(t, "refrain.yaml", "upstream: "+up.URL+"\n"+routes)
	p := start(t, "--config", file, "--store", "memory:")
	write(t, file, "upstream: "+up.URL+"\n"+routes+"    scope: { body: [/tool] }\n  - match: POST /more\n")
	p.signal(syscall.SIGHUP)
	line := p.await("every key of this route is new: a retry of what ran before runs again")
	if is := fmt.Sprint(line["is_unique_within"]); line["route"] != "POST /charges" || !strings.HasSuffix(is, "body [/tool]") {
		t.Errorf("got %v, want it to name the route and what its keys are unique within", line)
	}
	p.await("configuration reloaded")
	if n := strings.Count(p.log.String(), "every key of this route is new"); n != 1 {
		t.Errorf("got %d warnings, want one: the other routes are the same or new", n)
	}
}

func TestReloadChangesTheUpstream(t *testing.T) {
	t.Parallel()
	one, two := newLedger(t), newLedger(t)
	file := write(t, "refrain.yaml", "upstream: "+one.URL+"\n")
	p := start(t, "--config", file, "--store", "memory:")
	open := one.close()
	answered := make(chan string, 1)
	go func() {
		_, body, err := p.post("/charges", "k1")
		answered <- fmt.Sprint(body, err)
	}()
	eventually(t, "k1 runs on the first upstream", func() bool { return one.waiting() == 1 })
	write(t, file, "upstream: "+two.URL+"\n")
	p.signal(syscall.SIGHUP)
	p.await("configuration reloaded")
	p.mustPost("/charges", "k2")
	if one.counts()["k2"] != 0 || two.counts()["k2"] != 1 {
		t.Errorf("got k2 at %v and %v, want it at the second upstream", one.counts(), two.counts())
	}
	open()
	if got := <-answered; !strings.Contains(got, `"key":"k1"`) {
		t.Errorf("got %s for a request from before the reload, want its answer", got)
	}
}

func TestSecondProcessOnAStoreIsRefused(t *testing.T) {
	t.Parallel()
	up := newLedger(t)
	dir := filepath.Join(t.TempDir(), "data")
	p := start(t, "--upstream", up.URL, "--store", "pebble:"+dir)
	second := launch(t, "proxy", "--upstream", up.URL, "--store", "pebble:"+dir)
	if status := second.wait(); status != statusFault {
		t.Errorf("got exit status %d, want %d", status, statusFault)
	}
	if said := second.log.String(); !strings.Contains(said, dir) || !strings.Contains(said, "in use by another process") {
		t.Errorf("got %q, want it to say that another process uses %s", said, dir)
	}
	check := command("check", "--store", "pebble:"+dir)
	want := fmt.Sprintf("held by process %d", p.cmd.Process.Pid)
	if check.status != statusGood || !strings.Contains(check.stdout, want) {
		t.Errorf("check: got status %d and\n%s\nwant a warning that the lock is %s", check.status, check.stdout, want)
	}
	if resp, _ := p.mustPost("/charges", "k1"); resp.StatusCode != http.StatusCreated {
		t.Errorf("got %d from the first process afterwards, want 201", resp.StatusCode)
	}
}

func TestTakenAddressIsNamed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for flag, want := range map[string]string{"--listen": "listening for clients", "--admin": "listening for operators"} {
		p := launch(t, "proxy", "--upstream", "http://127.0.0.1:1", "--store", "memory:", flag, l.Addr().String())
		if status, said := p.wait(), p.log.String(); status != statusFault || !strings.Contains(said, want) ||
			!strings.Contains(said, l.Addr().String()) {
			t.Errorf("%s: got status %d and %q, want 1 and %q with the address", flag, status, said, want)
		}
	}
}

// A storm sends requests with keys of their own, one after the other, until the proxy is gone.
func storm(p *process, clients int) (answers func() map[string]string) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	got := map[string]string{}
	for c := range clients {
		wg.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("c%d-%d", c, i)
				resp, body, err := p.post("/charges", key)
				if err != nil {
					return
				}
				mu.Lock()
				got[key] = fmt.Sprint(resp.StatusCode, " ", body)
				mu.Unlock()
			}
		})
	}
	return func() map[string]string {
		wg.Wait()
		return got
	}
}

func TestTerminationUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	up := newLedger(t)
	store := "pebble:" + t.TempDir()
	p := start(t, "--upstream", up.URL, "--store", store)
	answers := storm(p, 8)
	eventually(t, "200 executions", func() bool { return len(up.counts()) >= 200 })

	// Some are cut at the most awkward moment: they run, and their client has gone.
	open := up.close()
	eventually(t, "every client waits", func() bool { return up.waiting() == 8 })
	ctx, leave := context.WithCancel(t.Context())
	req, err := p.request("/charges", "left")
	if err != nil {
		t.Fatal(err)
	}
	req = req.WithContext(ctx)
	left := make(chan struct{})
	go func() {
		defer close(left)
		_, _ = http.DefaultClient.Do(req)
	}()
	eventually(t, "the leaving client's request runs", func() bool { return up.waiting() == 9 })
	leave()
	<-left

	p.signal(syscall.SIGTERM)
	eventually(t, "not ready", func() bool {
		status, body := p.get("/readyz")
		return status == http.StatusServiceUnavailable && body == "not ready: process: draining\n"
	})
	open()
	if status := p.wait(); status != statusGood {
		t.Errorf("got exit status %d, want 0", status)
	}
	given := answers()

	ran := up.counts()
	for key, n := range ran {
		if n != 1 {
			t.Errorf("%s: got %d executions, want 1", key, n)
		}
	}
	if len(given)+1 != len(ran) {
		t.Errorf("got %d answers and one that left, but %d executions", len(given), len(ran))
	}
	again := start(t, "--upstream", up.URL, "--store", store)
	for key := range ran {
		resp, body := again.mustPost("/charges", key)
		if resp.Header.Get("Idempotency-Status") != "replayed" {
			t.Errorf("%s after the restart: got status %q, want replayed", key, resp.Header.Get("Idempotency-Status"))
		}
		if was, ok := given[key]; ok && was != fmt.Sprint(resp.StatusCode, " ", body) {
			t.Errorf("%s after the restart: got %s, want %s", key, body, was)
		}
	}
	if got, want := len(up.counts()), len(ran); got != want {
		t.Errorf("got %d operations after the replays, want %d", got, want)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	up := newLedger(t)
	p := start(t, "--upstream", up.URL, "--store", "memory:")
	open := up.close()
	defer open()
	go func() { _, _, _ = p.post("/charges", "k1") }()
	eventually(t, "k1 runs", func() bool { return up.waiting() == 1 })
	p.signal(syscall.SIGTERM)
	p.await("draining: finishing what runs")
	p.signal(os.Interrupt)
	if status := p.wait(); status != statusFault {
		t.Errorf("got exit status %d, want %d", status, statusFault)
	}
	for _, want := range []string{"told to stop at once", "1 operations still run"} {
		if said := p.log.String(); !strings.Contains(said, want) {
			t.Errorf("got\n%s\nwant %q", said, want)
		}
	}
}

func TestUpgradedConnectionsCarryAnything(t *testing.T) {
	t.Parallel()
	up, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	go echoUpgraded(up)
	p := start(t, "--upstream", "http://"+up.Addr().String(), "--store", "memory:")
	c, err := net.Dial("tcp", p.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v and %v, want 101", resp, err)
	}
	const text = "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
	fmt.Fprint(c, text)
	got := make([]byte, len(text))
	if _, err := io.ReadFull(r, got); string(got) != text {
		t.Errorf("got %q (%v), want what was sent", got, err)
	}
}

// echoUpgraded answers every request with an upgrade, and what comes then with itself.
func echoUpgraded(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			r := bufio.NewReader(c)
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_, _ = r.WriteTo(c)
		}()
	}
}

func TestTerminationFinishesHTTP2Too(t *testing.T) {
	t.Parallel()
	up := newLedger(t)
	p := start(t, "--upstream", up.URL, "--store", "memory:")
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	defer client.CloseIdleConnections()
	req, err := p.request("/charges", "k1")
	if err != nil {
		t.Fatal(err)
	}
	open := up.close()
	answered := make(chan string, 1)
	go func() {
		resp, err := client.Do(req)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		answered <- fmt.Sprint(resp.Proto, " ", resp.StatusCode, " ", string(body), " ", err)
	}()
	eventually(t, "k1 runs", func() bool { return up.waiting() == 1 })
	p.signal(syscall.SIGTERM)
	p.await("draining: finishing what runs")
	open()
	if got, want := <-answered, `HTTP/2.0 201 {"charge":1,"key":"k1"} <nil>`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if status := p.wait(); status != statusGood {
		t.Errorf("got exit status %d, want 0", status)
	}
}
