package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
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
func TestContracts(t *testing.T) { //nolint:tparallel // the page is compared when all dialects were judged
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
	want := written + mark + report.Markdown()
	if *update {
		golden(t, page, want)
		return
	}
	if got, is := firstDifference(string(text), want); got != is {
		t.Errorf("%s says\n%s\nand what was found is\n%s\nIf that is right, write it with -update.", page, got, is)
	}
}

// firstDifference returns the first lines of two texts that differ.
func firstDifference(one, two string) (string, string) {
	a, b := strings.SplitAfter(one, "\n"), strings.SplitAfter(two, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i], b[i]
		}
	}
	return one[min(len(one), len(two)):], two[min(len(one), len(two)):]
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

func TestExamplesOfContractsAreGood(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/contracts.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	for _, b := range blocks {
		if _, err := config.Parse("example.yaml", []byte(b[1])); err != nil {
			t.Errorf("%v\n%s", err, b[1])
		}
	}
	if len(blocks) < 3 {
		t.Errorf("got %d examples, want three", len(blocks))
	}
}

// judgeContract runs the rules of a contract against the program, those that need it for themselves at the end.
func judgeContract(t *testing.T, c *conformance.Contract, report *conformance.Report) {
	upstream, err := conformance.NewUpstream()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(upstream.Down)
	systems := []func() *conformance.System{
		sync.OnceValue(func() *conformance.System { return newSystem(t, c.Dialect, upstream) }),
		sync.OnceValue(func() *conformance.System { return newOutage(t, c.Dialect, upstream) }),
		sync.OnceValue(func() *conformance.System { return newDurable(t, c.Dialect, upstream) }),
	}
	judge := func(t *testing.T, r *conformance.Rule) {
		err := conformance.ErrNotJudged
		for _, system := range systems {
			if errors.Is(err, conformance.ErrNotJudged) {
				err = c.Judge(t.Context(), system(), r)
			}
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
	file := fmt.Sprintf("upstream: %s\ndefaults: { dialect: %s }\n", upstream.URL(), dialect) +
		"lifetime: { match: GET /v1/config, member: idempotency-key-lifetime }\nroutes:\n"
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
	if binding := dialect + "-mcp"; slices.Contains(names(), binding) {
		file += "  - match: POST /mcp/\n    dialect: " + binding + "\n"
	}
	if slices.Contains(signers(), dialect) {
		secret := write(t, "secret", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3")
		file += fmt.Sprintf("  - match: POST /signed/\n    verify: { secrets: %q", "file:"+secret)
		if dialect == "twilio" {
			file += ", url: https://hooks.example.com"
		}
		file += " }\n"
	}
	return file
}

// at returns a system with the paths of contractFile.
func at(url string, upstream *conformance.Upstream) *conformance.System {
	return &conformance.System{
		URL: url, Upstream: upstream,
		Required: "/required", AtOnce: "/at-once", Patient: "/patient", Brief: "/brief", Refused: "/refused", Signed: "/signed",
		MCP: "/mcp",
	}
}

// newSystem runs refrain proxy in a process.
func newSystem(t *testing.T, dialect string, upstream *conformance.Upstream) *conformance.System {
	file := write(t, "refrain.yaml", contractFile(t, dialect, upstream))
	return at("http://"+start(t, "--config", file, "--store", "memory:").listen, upstream)
}

// newDurable runs refrain proxy in a process that can be killed, on a store on disk.
func newDurable(t *testing.T, dialect string, upstream *conformance.Upstream) *conformance.System {
	args := []string{
		"--config", write(t, "refrain.yaml", contractFile(t, dialect, upstream)), "--store", "pebble:" + filepath.Join(t.TempDir(), "data"),
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

// names are those of all dialects.
func names() (all []string) {
	for _, d := range refrainhttp.Dialects() {
		all = append(all, d.Name)
	}
	return all
}

// signers are the dialects of those who sign what they send.
func signers() []string {
	return []string{"standard-webhooks", "github", "shopify", "slack", "twilio", "stripe-events"}
}
