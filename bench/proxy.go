package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A plan says how long everything takes.
type plan struct {
	rounds  int
	seconds float64 // of one turn under load
	records int     // of the proxy whose memory is measured
}

// limits are the ratios that first executions and replays should reach.
type limits struct{ first, replay float64 }

// buildRefrain builds the program from the work tree, once for the folder.
func buildRefrain(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "refrain")
	if isFile(program) {
		return program, nil
	}
	progress("building refrain")
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/refrain-dev/refrain").Output()
	if err != nil {
		return "", fmt.Errorf("looking for the root module: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/refrain")
	cmd.Dir = strings.TrimSpace(string(root))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building refrain: %w\n%s", err, out)
	}
	return program, nil
}

// startRefrain runs the proxy as it comes, with its store in the folder store.
func startRefrain(ctx context.Context, dir, upstream, store string) (*process, target, error) {
	program, err := buildRefrain(ctx, dir)
	if err != nil {
		return nil, target{}, err
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, target{}, err
	}
	admin, err := freeAddr(ctx)
	if err != nil {
		return nil, target{}, err
	}
	cmd := exec.CommandContext(ctx, program, "proxy", "--upstream", "http://"+upstream,
		"--listen", addr, "--admin", admin, "--store", "pebble:"+store)
	cmd.Dir = dir
	p, err := start("refrain-"+filepath.Base(store), dir, cmd)
	if err != nil {
		return nil, target{}, err
	}
	if err := p.ready(ctx, addr); err != nil {
		p.stop()
		return nil, target{}, err
	}
	return p, target{name: "Refrain", addr: addr, path: "/charges", sign: "Idempotent-Replayed: true"}, nil
}

// A proxies is the comparison of servers under load.
type proxies struct {
	plan     plan
	upstream string
	keys     sequence
}

// firsts returns a side that sends operations nobody has seen.
func (p *proxies) firsts(ctx context.Context, t target) side {
	return side{t.name, func() (float64, error) {
		before, err := charges(ctx, p.upstream)
		if err != nil {
			return 0, err
		}
		l := load{target: t, keys: p.keys.fresh, until: during(p.plan.turn())}
		r, err := l.run(ctx)
		if err != nil {
			return 0, err
		}
		after, err := charges(ctx, p.upstream)
		if err != nil {
			return 0, err
		}
		if n := after - before; t.name != "Restate" && n != r.requests { // Restate's handler is its own upstream
			return 0, fmt.Errorf("the upstream was called %d times for %d operations", n, r.requests)
		}
		return r.rate(), nil
	}}
}

// replayed is how many recorded operations the replays go round.
const replayed = 1000

// replays returns a side that repeats operations that it recorded before.
func (p *proxies) replays(ctx context.Context, t target) (side, error) {
	from := p.keys.n.Add(replayed) - replayed
	first := load{target: t, keys: around(from, replayed), until: times(replayed)}
	if _, err := first.run(ctx); err != nil {
		return side{}, err
	}
	return side{t.name, func() (float64, error) {
		l := load{target: t, keys: around(from, replayed), until: during(p.plan.turn()), sign: t.sign}
		r, err := l.run(ctx)
		return r.rate(), err
	}}, nil
}

// versus compares the first executions and the replays of two targets, and the first executions of the floors in the same
// turns.
func (p *proxies) versus(ctx context.Context, ours, theirs target, want limits, floors ...target) ([]result, error) {
	var sides []side
	for _, t := range slices.Concat([]target{ours}, floors, []target{theirs}) {
		sides = append(sides, p.firsts(ctx, t))
	}
	const first, replay = "first executions through the proxy", "replays through the proxy"
	const below = "first executions: floor, a byte relay with two synced appends"
	firsts, err := warmTourney(first, p.plan.rounds, sides...)
	if err != nil {
		return nil, err
	}
	results := []result{atLeast(want.first, first, "/s", firsts[0], theirs.name)}
	for i, f := range floors {
		results = append(results, floor(below, f.name, firsts[1+i], theirs.name))
	}
	a, err := p.replays(ctx, ours)
	if err != nil {
		return nil, err
	}
	b, err := p.replays(ctx, theirs)
	if err != nil {
		return nil, err
	}
	replays, err := duel(replay, p.plan.rounds, a, b)
	if err != nil {
		return nil, err
	}
	return append(results, atLeast(want.replay, replay, "/s", replays, theirs.name)), nil
}
