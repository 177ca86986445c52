package crashtest

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/payments"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/sidecar"
	"github.com/refrain-dev/refrain/internal/servers"
)

// A site is where the API and the proxies are.
type site struct {
	api     *servers.Host
	proxies []*servers.Host
}

// here is this machine, with n proxies.
func here(n int) site {
	return site{servers.Here(), slices.Repeat([]*servers.Host{servers.Here()}, n)}
}

// newFleet starts a bench of several proxies on one store, which clients ask in turn.
func newFleet(t *testing.T, file, store string, s site) *bench {
	t.Helper()
	ledger, err := payments.OpenLedger(filepath.Join(t.TempDir(), "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, ledger: ledger, api: payments.NewAPI(ledger, took)}
	server := serve(t, s.api, b.api)
	t.Cleanup(func() {
		server.Close()
		_ = ledger.Close()
	})
	turns := &inTurn{}
	for _, h := range s.proxies {
		p := startProxy(t, sidecar.Config{Upstream: server.URL, File: file, Store: store, Host: h})
		b.fleet = append(b.fleet, p)
		turns.hosts = append(turns.hosts, strings.TrimPrefix(p.URL(), "http://")) // a restart changes nothing about it
	}
	b.proxy = b.fleet[0]
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	turns.base = transport
	b.client = payments.Client{
		URL: b.proxy.URL(), Tries: 60, Pause: 10 * time.Millisecond,
		Transport: &witness{base: turns, broken: &b.broken, closed: &b.closed},
	}
	return b
}

// serve starts an HTTP server on a host whose network this process is in.
func serve(t *testing.T, on *servers.Host, h http.Handler) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", on.At(0))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	_ = server.Listener.Close()
	server.Listener = l
	server.Start()
	return server
}

func startProxy(t *testing.T, cfg sidecar.Config) *sidecar.Proxy {
	t.Helper()
	cfg.Executable, cfg.Dir = binary, t.TempDir()
	p, err := sidecar.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Kill()
		if t.Failed() {
			t.Logf("the proxy's last words:\n%s", p.Log())
		}
	})
	return p
}

// inTurn sends each request to the next proxy of a fleet.
type inTurn struct {
	base  http.RoundTripper
	hosts []string
	next  atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (f *inTurn) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Host = f.hosts[int(f.next.Add(1))%len(f.hosts)]
	return f.base.RoundTrip(req)
}

// A witness counts the requests whose connection broke after they had left, and those that were refused.
type witness struct {
	base           http.RoundTripper
	broken, closed *atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (w *witness) RoundTrip(req *http.Request) (*http.Response, error) {
	var left atomic.Bool
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		WroteRequest: func(info httptrace.WroteRequestInfo) { left.Store(info.Err == nil) },
	})
	resp, err := w.base.RoundTrip(req.WithContext(ctx))
	if err != nil && left.Load() {
		w.broken.Add(1)
	}
	if err == nil && resp.StatusCode == http.StatusServiceUnavailable {
		w.closed.Add(1)
	}
	return resp, err
}
