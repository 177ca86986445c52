package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// An engine is a server that a store is on.
type engine struct {
	*servers.Process
	more []*servers.Process // that come and go with it, and start after it
	url  string
	also string                                                       // what else the file says
	call func(ctx context.Context, command ...string) (string, error) // Redis only
}

func (e engine) start(t *testing.T) {
	t.Helper()
	for _, p := range append([]*servers.Process{e.Process}, e.more...) {
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func (e engine) stop(t *testing.T) {
	t.Helper()
	for _, p := range append([]*servers.Process{e.Process}, e.more...) {
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func (e engine) redis(t *testing.T, command ...string) {
	t.Helper()
	if _, err := e.call(t.Context(), command...); err != nil {
		t.Fatal(err)
	}
}

func redisEngine(ctx context.Context, dir string, settings ...string) (engine, error) {
	s, err := servers.StartRedis(ctx, dir, settings...)
	if err != nil {
		return engine{}, err
	}
	return engine{Process: s.Process, url: s.URL(), call: s.Call}, nil
}

// engines start a server each.
var engines = map[string]func(ctx context.Context, dir string) (engine, error){
	"redis": func(ctx context.Context, dir string) (engine, error) { return redisEngine(ctx, dir) },
	"postgres": func(ctx context.Context, dir string) (engine, error) {
		s, err := servers.StartPostgres(ctx, dir)
		if err != nil {
			return engine{}, err
		}
		return engine{Process: s.Process, url: s.URL("postgres")}, nil
	},
	"mariadb": func(ctx context.Context, dir string) (engine, error) {
		s, err := servers.StartMariaDB(ctx, dir)
		if err != nil {
			return engine{}, err
		}
		return engine{Process: s.Process, url: s.URL()}, nil
	},
}

// prepared starts a server with the tables that a store needs.
func prepared(t *testing.T, name string) engine {
	t.Helper()
	e := servertest.Start(t, engines[name])
	if name != "redis" {
		migrate(t, e)
	}
	return e
}

func migrate(t *testing.T, e engine) {
	t.Helper()
	if got := command("migrate", "--store", e.url); got.status != statusGood {
		t.Fatalf("migrate: got %+v", got)
	}
}

// fileFor writes a configuration for a proxy with a journal of its own.
func fileFor(t *testing.T, up *ledger, e engine, storeDown string) string {
	t.Helper()
	return write(t, "refrain.yaml", fmt.Sprintf("upstream: %s\nstore: %s\njournal: %s\ndefaults: { store_down: %s }\n%s",
		up.URL, e.url, t.TempDir(), storeDown, e.also))
}

const (
	awayLine = "the store does not answer: serving without it, as store_down says, until it does"
	openLine = "the store is open: requests with a key are protected from now on"
)

func TestProxyStartsWithoutItsStore(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ engine, storeDown string }{
		{"redis", "closed"}, {"redis", "open"}, {"postgres", "closed"}, {"postgres", "open"}, {"mariadb", "closed"},
	} {
		t.Run(tt.engine+" "+tt.storeDown, func(t *testing.T) {
			t.Parallel()
			e, up := prepared(t, tt.engine), newLedger(t)
			e.stop(t)
			p := start(t, "--config", fileFor(t, up, e, tt.storeDown))
			p.await(awayLine)
			servesWithoutItsStore(t, p, tt.storeDown)

			traffic := newTraffic(p)
			traffic.await(t, 200)
			p.signal(syscall.SIGHUP)
			p.await("configuration reloaded")
			e.start(t)
			if line := p.await(openLine); line["tier"] == "" || line["tier"] == "unknown" {
				t.Errorf("got tier %v of a store that is open", line["tier"])
			}
			isReady(t, p)
			traffic.await(t, 200)
			traffic.stop()
			traffic.judge(t, p, up, tt.storeDown)
		})
	}
}

// servesWithoutItsStore looks at a proxy whose store is away.
func servesWithoutItsStore(t *testing.T, p *process, storeDown string) {
	t.Helper()
	if status, body := p.get("/healthz"); status != http.StatusOK {
		t.Errorf("health: got %d %s, want 200", status, body)
	}
	status, body := p.get("/readyz")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "not open yet") || !strings.Contains(body, "connection refused") {
		t.Errorf("readiness: got %d %q, want 503, and why", status, body)
	}
	if status, body := p.get("/readyz?exclude=store"); status != http.StatusOK {
		t.Errorf("readiness but for the store: got %d %q, want 200", status, body)
	}
	if got := p.metric(`refrain_store_info{tier="unknown"}`); got != "1" {
		t.Errorf("got %q of a store of unknown tier, want 1", got)
	}
	if status, body := p.get("/api/v1/operations"); status != http.StatusServiceUnavailable {
		t.Errorf("list of operations: got %d %s, want 503", status, body)
	}
	resp, err := http.Post("http://"+p.listen+"/charges", "text/plain", strings.NewReader("no key"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Errorf("without a key: got %d, want 201", resp.StatusCode)
	}
	want := map[string]string{"closed": "503 ", "open": "201 bypassed"}[storeDown]
	resp, body = p.mustPost("/charges", "early")
	if got := fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Idempotency-Status")); got != want {
		t.Errorf("with a key: got %s and %s, want %s", got, body, want)
	}
}

func isReady(t *testing.T, p *process) {
	t.Helper()
	if status, body := p.get("/readyz"); status != http.StatusOK {
		t.Errorf("readiness: got %d %s, want 200", status, body)
	}
	if got := p.metric(`refrain_store_info{tier="unknown"}`); got != "" {
		t.Errorf("got %q of a store of unknown tier, want no such series", got)
	}
}

// A traffic is of clients who send an operation again until it is not refused.
type traffic struct {
	halt chan struct{}
	all  sync.WaitGroup

	mu    sync.Mutex
	sent  int
	odd   []string          // answers that nobody should get
	ended map[string]string // the status of each key's last answer
}

func newTraffic(p *process) *traffic {
	f := &traffic{halt: make(chan struct{}), ended: map[string]string{}}
	for c := range 4 {
		f.all.Go(func() {
			for i := 0; !f.halted(); i++ {
				for key := fmt.Sprintf("c%d-%d", c, i); !f.send(p, key) && !f.halted(); {
				}
			}
		})
	}
	return f
}

func (f *traffic) halted() bool {
	select {
	case <-f.halt:
		return true
	default:
		return false
	}
}

// send reports whether the answer was the operation's.
func (f *traffic) send(p *process, key string) bool {
	resp, body, err := p.post("/charges", key)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent++
	switch {
	case err != nil:
		f.odd = append(f.odd, err.Error())
	case resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(body, `"code":"unavailable"`):
		f.ended[key] = "refused"
		return false
	case resp.StatusCode != http.StatusCreated:
		f.odd = append(f.odd, fmt.Sprint(resp.StatusCode, " ", body))
	default:
		f.ended[key] = resp.Header.Get("Idempotency-Status")
	}
	return true
}

// await waits until so many more requests were answered.
func (f *traffic) await(t *testing.T, more int) {
	t.Helper()
	sent := func() int {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.sent
	}
	from := sent()
	eventually(t, "more answers", func() bool { return sent() >= from+more })
}

func (f *traffic) stop() {
	close(f.halt)
	f.all.Wait()
}

// judge sees that no answer was odd, and that each operation has happened once, however often it is sent.
func (f *traffic) judge(t *testing.T, p *process, up *ledger, storeDown string) {
	t.Helper()
	if len(f.odd) > 0 {
		t.Errorf("got %d answers such as %s", len(f.odd), f.odd[0])
	}
	statuses := map[string]int{}
	for key, status := range f.ended {
		statuses[status]++
		if status == "executed" {
			if resp, _ := p.mustPost("/charges", key); resp.Header.Get("Idempotency-Status") != "replayed" {
				t.Errorf("%s: got status %q of a retry, want replayed", key, resp.Header.Get("Idempotency-Status"))
			}
		}
		if n, ran := up.counts()[key], status != "refused"; n != 1 && ran || n != 0 && !ran {
			t.Errorf("%s, which was %s: got %d executions", key, status, n)
		}
	}
	if statuses["executed"] < 100 || statuses["refused"] > 4 || (statuses["bypassed"] > 0) != (storeDown == "open") {
		t.Errorf("got %v as the last answers under store_down: %s", statuses, storeDown)
	}
}

// What was recorded before the process that knew it ended, in the store or in the journal, is replayed by one that started while
// the store was away: it names operations by the store's own secret, and leaves the journal alone until then.
func TestStartingWithoutTheStoreForgetsNothing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"redis", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, up := prepared(t, name), newLedger(t)
			file := fileFor(t, up, e, "closed")
			old := start(t, "--config", file)
			_, stored := old.mustPost("/charges", "stored")
			open, kept := up.close(), make(chan string, 1)
			go func() {
				resp, body, err := old.post("/charges", "journaled")
				if err != nil || resp.Header.Get("Idempotency-Status") != "unrecorded" {
					t.Errorf("got %v and error %v, want an answer that is not recorded", resp, err)
				}
				kept <- body
			}()
			eventually(t, "the operation runs", func() bool { return up.waiting() == 1 })
			e.stop(t)
			open()
			want := map[string]string{"stored": stored, "journaled": <-kept}
			old.signal(syscall.SIGKILL)
			old.wait()

			p := start(t, "--config", file)
			p.await(awayLine)
			for key := range want {
				if resp, _ := p.mustPost("/charges", key); resp.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("%s while the store is away: got %d, want 503", key, resp.StatusCode)
				}
			}
			if got := p.metric("refrain_unrecorded"); got != "1" {
				t.Errorf("got %s endings that wait for the store, want 1", got)
			}
			e.start(t)
			p.await(openLine)
			eventually(t, "the store has what waited for it", func() bool { return p.metric("refrain_unrecorded") == "0" })
			for key, body := range want {
				resp, got := p.mustPost("/charges", key)
				if resp.Header.Get("Idempotency-Status") != "replayed" || got != body {
					t.Errorf("%s: got %q %s, want a replay of %s", key, resp.Header.Get("Idempotency-Status"), got, body)
				}
				if n := up.counts()[key]; n != 1 {
					t.Errorf("%s: got %d executions, want 1", key, n)
				}
			}
		})
	}
}

// A fault is something about a server that waiting does not mend.
type fault struct {
	server func(*testing.T) engine
	says   string
	mend   func(*testing.T, engine)
}

var faults = map[string]fault{
	"no schema": {
		func(t *testing.T) engine { return servertest.Start(t, engines["postgres"]) },
		"run refrain migrate", migrate,
	},
	"eviction": {
		func(t *testing.T) engine {
			return servertest.Start(t, func(ctx context.Context, dir string) (engine, error) {
				return redisEngine(ctx, dir, "maxmemory-policy", "allkeys-lru")
			})
		},
		"set it to noeviction",
		func(t *testing.T, e engine) { e.redis(t, "CONFIG", "SET", "maxmemory-policy", "noeviction") },
	},
	"credentials": {
		func(t *testing.T) engine {
			e := prepared(t, "redis")
			e.url = strings.Replace(e.url, "//", "//ann:s3cret@", 1)
			return e
		},
		"WRONGPASS",
		func(t *testing.T, e engine) {
			e.redis(t, "ACL", "SETUSER", "ann", "on", ">s3cret", "~*", "&*", "+@all")
		},
	},
	"another secret": {
		func(t *testing.T) engine {
			e := prepared(t, "redis")
			first := start(t, "--config", fileFor(t, newLedger(t), e, "closed"))
			first.signal(syscall.SIGTERM)
			first.wait()
			e.also = "secret: file:" + write(t, "secret", "0123456789abcdef") + "\n"
			return e
		},
		"recorded under another secret", func(t *testing.T, e engine) { e.redis(t, "FLUSHALL") },
	},
}

// A server with a fault ends the start. If it comes later the fault is told, and the proxy goes on when it is mended.
func TestFaultsThatWaitingDoesNotMend(t *testing.T) {
	t.Parallel()
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, up := f.server(t), newLedger(t)
			file := fileFor(t, up, e, "closed")
			refused := launch(t, "proxy", "--config", file)
			if status, said := refused.wait(), refused.log.String(); status != statusFault || !strings.Contains(said, f.says) {
				t.Errorf("got status %d and %q, want %d and %q", status, said, statusFault, f.says)
			}

			e.stop(t)
			p := start(t, "--config", file)
			p.await(awayLine)
			e.start(t)
			line := p.await("the store answers, and cannot be used as it is: trying until it can")
			if said := fmt.Sprint(line["err"]); !strings.Contains(said, f.says) {
				t.Errorf("got %q, want %q", said, f.says)
			}
			if status, body := p.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, f.says) {
				t.Errorf("readiness: got %d %q, want 503 and %q", status, body, f.says)
			}
			f.mend(t, e)
			p.await(openLine)
			isReady(t, p)
			if resp, body := p.mustPost("/charges", "k1"); resp.Header.Get("Idempotency-Status") != "executed" {
				t.Errorf("got %d %s, want an execution", resp.StatusCode, body)
			}
			if n := strings.Count(p.log.String(), `"store opened"`); n > 1 {
				t.Errorf("the log says %d times that the store is open", n)
			}
			if strings.Contains(p.log.String()+refused.log.String(), "s3cret") {
				t.Error("the log tells the password")
			}
		})
	}
}

// A server that takes connections and says nothing is away after a while; whoever ends the process meanwhile need not wait for it.
func TestTerminationWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"redis", "postgres", "mysql"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			silent := servertest.Relay(t, func(client net.Conn) {
				<-t.Context().Done()
				_ = client.Close()
			})
			up := newLedger(t)
			p := start(t, "--config", fileFor(t, up, engine{url: scheme + "://u@" + silent + "/0"}, "open"))
			p.await(awayLine)
			open, answered := up.close(), make(chan string, 1)
			go func() {
				resp, _, err := p.post("/charges", "k1")
				if err != nil {
					t.Error(err)
					return
				}
				answered <- fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Idempotency-Status"))
			}()
			eventually(t, "the operation runs", func() bool { return up.waiting() == 1 })
			p.signal(syscall.SIGTERM)
			p.await("draining: finishing what runs")
			open()
			if got := <-answered; got != "201 bypassed" {
				t.Errorf("got %s, want what ran without the store to be finished", got)
			}
			if status := p.wait(); status != statusGood {
				t.Errorf("got exit status %d, want 0", status)
			}
		})
	}
}
