package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ErrBroken says that the run behind Refrain broke a promise, or that the storm was none.
var ErrBroken = errors.New("the demo did not hold")

// A Report compares the same storm without and with Refrain.
type Report struct {
	Seed    uint64 `json:"seed"`
	Bare    Tally  `json:"bare"`
	Refrain Tally  `json:"refrain"`
}

// Err returns nil or an ErrBroken that names what was broken.
func (r *Report) Err() error {
	wrong := r.Refrain.broken()
	for _, m := range r.Bare.Faults.missing(r.Bare.DuplicatesSent) {
		wrong = append(wrong, "in the bare run "+m)
	}
	for _, m := range r.Refrain.Faults.missing(r.Refrain.DuplicatesSent) {
		wrong = append(wrong, "through Refrain "+m)
	}
	if r.Bare.Duplicates == 0 {
		wrong = append(wrong, "the bare run charged nothing twice")
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s (seed %d)", ErrBroken, strings.Join(wrong, "; "), r.Seed)
}

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	b, c := &r.Bare, &r.Refrain
	var out strings.Builder
	row := func(name, bare, behind string) { fmt.Fprintf(&out, "  %-34s %18s %18s\n", name, bare, behind) }
	numbers := func(name string, bare, behind int) { row(name, strconv.Itoa(bare), strconv.Itoa(behind)) }
	fmt.Fprintln(&out)
	row("", "bare", "through Refrain")
	numbers("operations intended", b.Intended, c.Intended)
	numbers("charges made", b.Charged, c.Charged)
	numbers("duplicate charges", b.Duplicates, c.Duplicates)
	numbers("lost (told of, not in the ledger)", b.Lost, c.Lost)
	fmt.Fprintln(&out)
	numbers("duplicate requests sent", b.DuplicatesSent, c.DuplicatesSent)
	numbers("duplicates stopped", b.DuplicatesStopped, c.DuplicatesStopped)
	row("answers equal, asked more than once", b.answers(), c.answers())
	row("ended unknown, and said so", b.unknown(), c.unknown())
	numbers("ended without an answer", b.Unanswered, c.Unanswered)
	fmt.Fprintln(&out)
	row("first tries, p50 / p99", b.FirstTries.String(), c.FirstTries.String())
	row("asking again, p50 / p99", b.Replays.String(), c.Replays.String())
	fmt.Fprintln(&out)
	numbers("answers cut", b.Faults.AnswersCut, c.Faults.AnswersCut)
	numbers("clients gave up waiting", b.Faults.GaveUp, c.Faults.GaveUp)
	row("requests in flight at the outage", b.Faults.outage("cut"), c.Faults.outage("kill -9"))
	if c.Unknown > 0 {
		out.WriteString(explainUnknown)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

const explainUnknown = `
  Unknown: the proxy was killed while these were on their way, so nobody can tell from the outside whether they
  were charged. Refrain says so, and never runs them again by itself; the ledger tells what became of them.

`

func (t *Tally) answers() string { return fmt.Sprintf("%d of %d", t.AnswersEqual, t.AnswersCompared) }

func (t *Tally) unknown() string {
	if t.Unknown == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%d charged)", t.Unknown, t.UnknownCharged)
}

func (f *Faults) outage(kind string) string { return fmt.Sprintf("%d (%s)", f.InFlight, kind) }

// String returns the latency for people.
func (l Latency) String() string { return fmt.Sprintf("%.1f / %.1f ms", l.P50, l.P99) }
