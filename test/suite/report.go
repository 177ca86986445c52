package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// An event is one line of go test -json, as go doc test2json describes it.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build-output
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string
}

func (e *event) name() string {
	if e.Test == "" {
		return short(e.Package)
	}
	return short(e.Package) + " " + e.Test
}

// short drops the part of the path that all packages share.
func short(pkg string) string {
	if s, ok := strings.CutPrefix(pkg, "github.com/refrain-dev/refrain"); ok {
		return "." + s
	}
	return pkg
}

// A report collects what go test says.
type report struct {
	out     io.Writer
	started time.Time

	output  map[string]*strings.Builder // of a package or test that has not ended
	running map[string]time.Time        // tests, since when
	tests   map[string]int              // of each package, passed

	passed, failed, packages int
	failures                 []string
	skipped                  []string
}

func newReport(out io.Writer) *report {
	return &report{
		out: out, started: time.Now(),
		output:  make(map[string]*strings.Builder),
		running: make(map[string]time.Time),
		tests:   make(map[string]int),
	}
}

// line takes in one line of go test's output.
func (r *report) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		fmt.Fprintf(r.out, "%s", line) // go itself, before any test runs
		return
	}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		r.collect(e.name(), e.Output)
	case "run":
		r.running[e.name()] = time.Now()
	case "pass", "fail", "skip":
		r.ended(&e)
	}
}

func (r *report) collect(name, text string) {
	b := r.output[name]
	if b == nil {
		b = new(strings.Builder)
		r.output[name] = b
	}
	b.WriteString(text)
}

func (r *report) ended(e *event) {
	name := e.name()
	text := ""
	if b := r.output[name]; b != nil {
		text = b.String()
	}
	delete(r.output, name)
	delete(r.running, name)
	switch {
	case e.Test == "":
		r.packageEnded(e, text)
	case e.Action == "pass":
		r.passed++
		r.tests[e.Package]++
	case e.Action == "skip":
		r.skipped = append(r.skipped, name+": "+reason(text))
	case e.Action == "fail":
		r.fail(name, text)
	}
}

func (r *report) packageEnded(e *event, text string) {
	switch e.Action {
	case "pass":
		r.packages++
		fmt.Fprintf(r.out, "ok    %-46s %7.1fs  %d tests\n", short(e.Package), e.Elapsed, r.tests[e.Package])
	case "fail":
		r.packages++
		fmt.Fprintf(r.out, "FAIL  %-46s %7.1fs\n", short(e.Package), e.Elapsed)
		if !r.explained(short(e.Package)) {
			r.fail(short(e.Package), text) // it did not build, crashed, or hung
		}
	}
}

// explained reports whether a failed test of the package was printed already.
func (r *report) explained(pkg string) bool {
	return slices.ContainsFunc(r.failures, func(f string) bool { return strings.HasPrefix(f, pkg+" ") })
}

func (r *report) fail(name, text string) {
	r.failed++
	r.failures = append(r.failures, name)
	fmt.Fprintf(r.out, "FAIL  %s\n%s", name, indent(text))
}

func indent(text string) string {
	if text == "" {
		return ""
	}
	return "      " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n      ") + "\n"
}

// reason returns what a skipped test said.
func reason(output string) string {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			return line
		}
	}
	return "no reason given"
}

// busy prints which tests have run the longest.
func (r *report) busy(now time.Time) {
	names := make([]string, 0, len(r.running))
	for name := range r.running {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return r.running[a].Compare(r.running[b]) })
	fmt.Fprintf(r.out, "  ... %s, %d packages done", now.Sub(r.started).Round(time.Second), r.packages)
	for _, name := range names[:min(3, len(names))] {
		fmt.Fprintf(r.out, ", %s (%s)", name, now.Sub(r.running[name]).Round(time.Second))
	}
	if len(names) == 0 {
		fmt.Fprint(r.out, ", building")
	}
	fmt.Fprintln(r.out)
}

func (r *report) summary() {
	for _, s := range r.skipped {
		fmt.Fprintln(r.out, "skip ", s)
	}
	for _, f := range r.failures {
		fmt.Fprintln(r.out, "FAIL ", f)
	}
	fmt.Fprintf(r.out, "%d packages, %d tests passed, %d failed, %d skipped, in %s\n",
		r.packages, r.passed, r.failed, len(r.skipped), time.Since(r.started).Round(time.Second))
}
