package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/conformance"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/proxy"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// Every built-in dialect keeps its contract, as docs/contracts.md says: the page's tables are what this test found.
func TestContracts(t *testing.T) {
	t.Parallel()
	contracts := conformance.Contracts()
	report := conformance.NewReport(contracts)
	t.Run("dialect", func(t *testing.T) { // ends when all of its own have
		for _, c := range contracts {
			t.Run(c.Dialect, func(t *testing.T) {
				t.Parallel()
				judgeContract(t, &c, report)
			})
		}
	})
	if t.Failed() || !report.Complete() {
		return // the page says what holds, and one dialect's tests are not the whole of it
	}
	const page, mark = "../../docs/contracts.md", "<!-- What follows is written by `go test ./cmd/refrain -run TestContracts -update`. -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	written, _, found := strings.Cut(string(text), mark)
	if !found {
		t.Fatalf("%s has no line %s", page, mark)
	}
	golden(t, page, written+mark+report.Markdown())
}

// The contracts are those of the dialects, in their order.
func TestEveryDialectHasAContract(t *testing.T) {
	t.Parallel()
	var dialects, contracts []string
	for _, d := range refrainhttp.Dialects() {
		dialects = append(dialects, d.Name)
	}
	for _, c := range conformance.Contracts() {
		contracts = append(contracts, c.Dialect)
	}
	if got, want := fmt.Sprint(contracts), fmt.Sprint(dialects); got != want {
		t.Errorf("got contracts\n%s\nwant those of\n%s", got, want)
	}
}

// judgeContract runs the rules of a contract against the program, those that need it for themselves at the end.
func judgeContract(t *testing.T, c *conformance.Contract, report *conformance.Report) {
	upstream, err := conformance.NewUpstream()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(upstream.Down)
	whole, outage := newSystem(t, c.Dialect, upstream), newOutage(t, c.Dialect, upstream)
	judge := func(t *testing.T, r *conformance.Rule) {
		err := c.Judge(t.Context(), whole, r)
		if errors.Is(err, conformance.ErrNotJudged) {
			err = c.Judge(t.Context(), outage, r)
		}
		if err != nil {
			t.Errorf("%s (%s, %s): %v", c.Name, r.Section, r.Level, err)
			return
		}
		report.Kept(c, r)
	}
	for _, alone := range []bool{false, true} {
		t.Run(map[bool]string{false: "together", true: "alone"}[alone], func(t *testing.T) {
			for _, r := range c.Rules {
				if r.Not != "" || r.Alone != alone {
					continue
				}
				t.Run(r.Test, func(t *testing.T) {
					if !alone {
						t.Parallel()
					}
					judge(t, &r)
				})
			}
		})
	}
}

// contractFile is a file that says little more than the dialect. Paths with a prefix have one setting changed.
func contractFile(t *testing.T, dialect string, upstream *conformance.Upstream) string {
	d, ok := refrainhttp.LookupDialect(dialect)
	if !ok {
		t.Fatalf("there is no dialect %s", dialect)
	}
	file := fmt.Sprintf("upstream: %s\ndefaults: { dialect: %s }\nroutes:\n", upstream.URL(), dialect)
	for _, route := range []struct{ path, settings string }{
		{"/", ""},
		{"/required/", "key: { required: true }"},
		{"/at-once/", "in_flight: { wait: 0s }"},
		{"/patient/", "in_flight: { wait: 30s }"},
		{"/brief/", "retention: 1s"},
		{"/refused/", "mode: refuse"},
	} {
		for _, method := range d.Methods {
			file += fmt.Sprintf("  - match: %s %s\n", method, route.path)
			if route.settings != "" {
				file += "    " + route.settings + "\n"
			}
		}
	}
	return file
}

// at returns a system with the paths of contractFile.
func at(url string, upstream *conformance.Upstream) *conformance.System {
	return &conformance.System{
		URL: url, Upstream: upstream,
		Required: "/required", AtOnce: "/at-once", Patient: "/patient", Brief: "/brief", Refused: "/refused",
	}
}

// newSystem runs refrain proxy in a process, on a store on disk.
func newSystem(t *testing.T, dialect string, upstream *conformance.Upstream) *conformance.System {
	dir := t.TempDir()
	args := []string{
		"--config", write(t, filepath.Join(dir, "refrain.yaml"), contractFile(t, dialect, upstream)),
		"--store", "pebble:" + filepath.Join(dir, "data"),
	}
	p := start(t, args...)
	s := at("http://"+p.listen, upstream)
	s.Kill = func() error {
		p.signal(syscall.SIGKILL)
		p.wait()
		p = start(t, append(args, "--listen", p.listen)...)
		return nil
	}
	return s
}

// newOutage runs the parts of refrain proxy on a store that can be taken away.
func newOutage(t *testing.T, dialect string, upstream *conformance.Upstream) *conformance.System {
	cfg, err := config.Parse("refrain.yaml", []byte(contractFile(t, dialect, upstream)))
	if err != nil {
		t.Fatal(err)
	}
	store := &severed{Store: memstore.New(memstore.Config{})}
	guard, err := refrain.New(store, refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := refrainhttp.New(guard, cfg.Middleware())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(m.Wrap(proxy.New(proxy.Config{Upstream: cfg.Upstream})))
	t.Cleanup(server.Close)
	s := at(server.URL, upstream)
	s.Break = func() func() {
		store.away.Store(true)
		return func() { store.away.Store(false) }
	}
	return s
}

// A severed store answers nothing while it is away.
type severed struct {
	refrain.Store
	away atomic.Bool
}

var errSevered = errors.New("connection refused")

func (s *severed) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	if s.away.Load() {
		return refrain.Decision{}, errSevered
	}
	return s.Store.Claim(ctx, c)
}

func (s *severed) Get(ctx context.Context, id refrain.ID) (refrain.Record, error) {
	if s.away.Load() {
		return refrain.Record{}, errSevered
	}
	return s.Store.Get(ctx, id)
}
