package crashtest

import (
	"cmp"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"sync"
	"testing"
)

// A row is what a campaign came to.
type row struct {
	store, tier, fault string
	rounds, landed     int
	verdict            verdict
}

// rows are those of all campaigns, for the table at the end.
var rows struct {
	sync.Mutex

	all []row
}

func report(r row) {
	rows.Lock()
	defer rows.Unlock()
	rows.all = append(rows.all, r)
}

// writeReport writes the table of all campaigns, as docs/guarantees.md has it, if there were any.
func writeReport(out io.Writer) {
	if len(rows.all) == 0 {
		return
	}
	slices.SortStableFunc(rows.all, func(a, b row) int { return cmp.Or(cmp.Compare(a.store, b.store), cmp.Compare(a.fault, b.fault)) })
	fmt.Fprint(out, "| store | fault | rounds | felt | operations | ended unknown | charged twice | outcomes lost |\n"+
		"|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows.all {
		v := &r.verdict
		fmt.Fprintf(out, "| %s (%s) | %s | %d | %d | %d | %d | %s | %s |\n", r.store, r.tier, r.fault, r.rounds, r.landed,
			v.operations, v.unknown, share(v.twice, v.operations), share(v.lost, v.operations))
	}
}

// share says how many of all they are, and how large a part if there are any.
func share(n, all int) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%.1f %%)", n, 100*float64(n)/float64(all))
}

func migrate(t *testing.T, url string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), binary, "migrate", "--store", url).CombinedOutput(); err != nil {
		t.Fatalf("migrating: %v\n%s", err, out)
	}
}
