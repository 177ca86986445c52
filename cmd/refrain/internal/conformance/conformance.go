// Package conformance asks a service as its clients do, in front of an upstream that counts, and judges whether the service
// keeps a contract. It knows nothing of how the service is built, nor of how tests are run.
package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// A Level says how much a contract insists on a rule.
type Level string

// The levels. Promise is Refrain's own: no contract asks for it.
const (
	Must    Level = "MUST"
	Should  Level = "SHOULD"
	May     Level = "MAY"
	Promise Level = "promise"
)

// A Rule is one thing that a contract says, and how to see whether it is kept.
type Rule struct {
	Test    string
	Section string // of the contract, or another source
	Level   Level
	// Not says why the rule is not kept, if it is not. Then there is nothing to run.
	Not string
	// By names the dialect by which the rule is kept, if it is another one, on a route of its own.
	By string
	// Alone rules need a service that nobody else asks meanwhile.
	Alone bool

	of    int // the rule is about the retry after an answer of this status, if it is not zero
	check func(*trial)
}

// A Contract is what clients of one dialect rely on.
type Contract struct {
	Dialect string
	Name    string
	Rules   []Rule

	expectations
}

// A System is a service under test, with the Upstream behind it. What is empty or nil it does not have, and rules that need
// it cannot be judged.
type System struct {
	URL      string
	Upstream *Upstream

	// The prefixes of paths on which the contract holds with one setting changed.
	Required string // a key is required
	AtOnce   string // duplicates of a running request are answered at once
	Patient  string // they wait
	Brief    string // answers are remembered for a second only
	Refused  string // keys are refused
	Signed   string // the sender's signature is looked at
	MCP      string // the contract's binding to MCP holds, by another dialect

	// Kill ends the service as kill -9 does, and starts it again on what it has on disk.
	Kill func() error
	// Break takes the service's store away until mend is called.
	Break func() (mend func())
}

// ErrNotJudged says that a system does not have what a rule needs.
var ErrNotJudged = errors.New("the system does not have what it takes to judge this")

// patience bounds every wait: whoever waits longer has failed.
const patience = 30 * time.Second

var trials atomic.Int64 // so that no two trials share a path or a key

// Judge runs the rule against the system. It returns what is wrong, or nil. It may be called concurrently, but for rules that
// are Alone.
func (c *Contract) Judge(ctx context.Context, s *System, r *Rule) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*patience, fmt.Errorf("%s takes too long", r.Test))
	defer cancel()
	t := &trial{ctx: ctx, sys: s, c: c, path: fmt.Sprintf("/op/%s-%d", r.Test, trials.Add(1))}
	r.check(t)
	switch {
	case t.lacking:
		return ErrNotJudged
	case len(t.faults) > 0:
		return errors.New(strings.Join(t.faults, "\n"))
	}
	return nil
}

// rules returns own and, behind them, those of the others whose tests are not among them.
func rules(own []Rule, others ...[]Rule) []Rule {
	seen := map[string]bool{}
	var all []Rule
	for _, list := range append([][]Rule{own}, others...) {
		for _, r := range list {
			if !seen[r.Test] {
				all = append(all, r)
			}
			seen[r.Test] = true
		}
	}
	return all
}
