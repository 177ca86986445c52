// Command bench runs Refrain beside its peers on this machine, on the same work in the same run, and prints ratios.
//
//	go run ./bench             everything, about six minutes; writes bench/RESULTS.md
//	go run ./bench -quick      a few seconds each, to see that it works; writes nothing
//	go run ./bench -only store one part: nginx, restate, store, redis, mariadb, postgres, recall, middleware, canonical or size
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := command(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// command runs the benchmark, or one of the servers that it starts itself for.
func command(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "upstream" {
		return serveUpstream(args[1])
	}
	if len(args) == 2 && args[0] == "restate-handler" {
		return serveRestateHandler(ctx, args[1])
	}
	if len(args) > 3 && args[0] == "relay" {
		return serveRelay(ctx, args[1], args[2], args[3])
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "short turns, to see that everything works")
	only := flags.String("only", "", "parts to run, separated by commas: "+strings.Join(names(), ", "))
	dir := flags.String("dir", "", "folder for data, on the disk that is to be measured (default: a temporary one)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b := bench{plan: plan{rounds: 7, seconds: 2.5, records: 1_000_000}}
	if *quick {
		b.plan = plan{rounds: 3, seconds: 0.7, records: 30_000}
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(*dir, "refrain-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	results, err := b.run(ctx, chosen)
	if err != nil {
		return err
	}
	text := report(ctx, b.dir, results)
	fmt.Println("\n" + text)
	if *quick || *only != "" {
		return nil
	}
	return os.WriteFile("bench/RESULTS.md", []byte(text), 0o644)
}

// A bench is one run of the benchmark.
type bench struct {
	plan plan
	dir  string
}

// A part is a group of comparisons that can be run alone.
type part struct {
	name string
	run  func(*bench, context.Context) ([]result, error)
}

func parts() []part {
	return []part{
		{"nginx", (*bench).nginx},
		{"restate", (*bench).restate},
		{"store", (*bench).store},
		{"redis", (*bench).redis},
		{"mariadb", (*bench).mariadb},
		{"postgres", (*bench).postgres},
		{"recall", (*bench).recall},
		{"middleware", (*bench).middleware},
		{"canonical", (*bench).canonical},
		{"size", (*bench).size},
	}
}

func names() []string {
	var all []string
	for _, p := range parts() {
		all = append(all, p.name)
	}
	return all
}

func choose(only string) ([]part, error) {
	if only == "" {
		return parts(), nil
	}
	var chosen []part
	for name := range strings.SplitSeq(only, ",") {
		i := slices.Index(names(), name)
		if i < 0 {
			return nil, fmt.Errorf("-only: there is no part %q; there are %s", name, strings.Join(names(), ", "))
		}
		chosen = append(chosen, parts()[i])
	}
	return chosen, nil
}

func (b *bench) run(ctx context.Context, chosen []part) ([]result, error) {
	var results []result
	for _, p := range chosen {
		r, err := p.run(b, ctx)
		var why skipped
		switch {
		case errors.As(err, &why):
			r = []result{skip(p.name, "", string(why))}
		case err != nil:
			return nil, err
		}
		results = append(results, r...)
	}
	return results, nil
}

// nginx compares the proxy with nginx, and says how near to it this machine lets anything come that syncs twice.
func (b *bench) nginx(ctx context.Context) ([]result, error) {
	upstream, err := b.serve(ctx, "upstream")
	if err != nil {
		return nil, err
	}
	defer upstream.stop()
	peer, theirs, err := startNginx(ctx, b.dir, upstream.addr)
	if err != nil {
		return nil, err
	}
	defer peer.stop()
	relay, floor, err := b.startRelay(ctx, upstream.addr)
	if err != nil {
		return nil, err
	}
	defer relay.stop()
	return b.versus(ctx, upstream, theirs, limits{first: 0.6, replay: 2}, floor)
}

// restate compares the proxy with Restate.
func (b *bench) restate(ctx context.Context) ([]result, error) {
	upstream, err := b.serve(ctx, "upstream")
	if err != nil {
		return nil, err
	}
	defer upstream.stop()
	handler, err := b.serve(ctx, "restate-handler")
	if err != nil {
		return nil, err
	}
	defer handler.stop()
	peer, theirs, err := startRestate(ctx, b.dir, handler.addr)
	if err != nil {
		return nil, err
	}
	defer peer.stop()
	return b.versus(ctx, upstream, theirs, limits{first: 4, replay: 5})
}

// versus starts the proxy and compares it with a peer that runs, and with the floors beside it.
func (b *bench) versus(
	ctx context.Context, upstream *server, theirs target, want limits, floors ...target,
) ([]result, error) {
	store := filepath.Join(b.dir, "beside-"+strings.ToLower(theirs.name))
	proxy, ours, err := startRefrain(ctx, b.dir, upstream.addr, store)
	if err != nil {
		return nil, err
	}
	defer proxy.stop()
	p := proxies{plan: b.plan, upstream: upstream.addr}
	return p.versus(ctx, ours, theirs, want, floors...)
}

// A server is this program as one of the servers under load.
type server struct {
	*process
	addr string
}

func (b *bench) serve(ctx context.Context, what string, args ...string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	p, err := start(what, b.dir, exec.CommandContext(ctx, self, append([]string{what, addr}, args...)...))
	if err != nil {
		return nil, err
	}
	if err := p.ready(ctx, addr); err != nil {
		p.stop()
		return nil, err
	}
	return &server{p, addr}, nil
}

func (p plan) turn() time.Duration { return time.Duration(p.seconds * float64(time.Second)) }

// progress says what is going on.
func progress(text string) { fmt.Fprintln(os.Stderr, time.Now().Format("15:04:05"), text) }
