package main

import (
	"fmt"
	"strings"
)

// A result is one line of the table.
type result struct {
	what   string
	ours   string
	theirs string
	ratio  float64
	spread string
	target string // empty: none
	met    bool
	skip   string // why there is no result
}

// atLeast returns the line for a score that should not be below a limit.
func atLeast(limit float64, what, unit string, s score, peer string) result {
	return result{
		what: what, ours: amount(s.a) + unit, theirs: peer + " " + amount(s.b) + unit, ratio: s.ratio,
		spread: fmt.Sprintf("%.2f to %.2f", s.lo, s.hi), target: fmt.Sprintf("≥ %g", limit), met: s.ratio >= limit,
	}
}

// atMost returns the line for a score that should not be above a limit.
func atMost(limit float64, what, unit string, s score, peer string) result {
	r := atLeast(limit, what, unit, s, peer)
	r.target, r.met = fmt.Sprintf("≤ %g", limit), s.ratio <= limit
	return r
}

// floor returns the line of what stands beside a result for comparison, such as what this machine allows.
func floor(what, name string, s score, peer string) result {
	r := atLeast(0, what, "/s", s, peer)
	r.ours, r.target = name+" "+r.ours, ""
	return r
}

func skip(what, peer, why string) result {
	return result{what: what, theirs: peer, skip: why}
}

// table writes the results as Markdown.
func table(results []result) string {
	var b strings.Builder
	b.WriteString("| what | Refrain | beside it | ratio | spread | target | |\n|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		if r.skip != "" {
			fmt.Fprintf(&b, "| %s | | %s | | | | skipped: %s |\n", r.what, r.theirs, r.skip)
			continue
		}
		met := "met"
		switch {
		case r.target == "":
			met = ""
		case !r.met:
			met = "**missed**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %.2f | %s | %s | %s |\n",
			r.what, r.ours, r.theirs, r.ratio, r.spread, r.target, met)
	}
	return b.String()
}
