package conformance

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// A Report collects which rules are kept. It may be used concurrently.
type Report struct {
	contracts []Contract
	mu        sync.Mutex
	kept      map[[2]string]bool // by dialect and test
}

// NewReport returns a report of contracts in which no rule is kept yet.
func NewReport(contracts []Contract) *Report {
	return &Report{contracts: contracts, kept: map[[2]string]bool{}}
}

// Kept notes that a rule was judged, and that it is kept.
func (r *Report) Kept(c *Contract, rule *Rule) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept[[2]string{c.Dialect, rule.Test}] = true
}

func (r *Report) has(c *Contract, rule *Rule) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kept[[2]string{c.Dialect, rule.Test}]
}

// Complete reports whether every rule is kept that does not say why it is not.
func (r *Report) Complete() bool {
	for _, c := range r.contracts {
		for _, rule := range c.Rules {
			if rule.Not == "" && !r.has(&c, &rule) {
				return false
			}
		}
	}
	return true
}

// Markdown returns a table of all contracts and one of the rules of each.
func (r *Report) Markdown() string {
	var b strings.Builder
	b.WriteString("\n## All of them\n\n| dialect | contract | MUST | SHOULD | MAY | promises |\n|---|---|---|---|---|---|\n")
	for _, c := range r.contracts {
		fmt.Fprintf(&b, "| [`%s`](#%[1]s) | %s |", c.Dialect, c.Name)
		for _, level := range []Level{Must, Should, May, Promise} {
			fmt.Fprintf(&b, " %s |", r.share(&c, level))
		}
		b.WriteString("\n")
	}
	for _, c := range r.contracts {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| test | section | level | result |\n|---|---|---|---|\n", c.Dialect, c.Name)
		for _, rule := range c.Rules {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", rule.Test, rule.Section, rule.Level, r.result(&c, &rule))
		}
	}
	b.WriteString("\n## What the tests do\n\n| test | |\n|---|---|\n")
	for _, m := range meanings() {
		fmt.Fprintf(&b, "| %s | %s |\n", m.test, m.text)
	}
	return b.String()
}

// share returns how many of the rules of a level are kept.
func (r *Report) share(c *Contract, level Level) string {
	kept, all := 0, 0
	for _, rule := range c.Rules {
		if rule.Level == level {
			all++
			if r.has(c, &rule) {
				kept++
			}
		}
	}
	switch {
	case all == 0:
		return ""
	case kept == all:
		return strconv.Itoa(all)
	}
	return fmt.Sprintf("%d of %d", kept, all)
}

func (r *Report) result(c *Contract, rule *Rule) string {
	switch {
	case !r.has(c, rule):
		return "**not kept:** " + rule.Not
	case rule.of != 0:
		return fmt.Sprintf("kept: after %d the retry %s", rule.of, c.fates[rule.of])
	case rule.By != "":
		return "kept: by a route with the dialect [`" + rule.By + "`](#" + rule.By + ")"
	}
	return "kept"
}
