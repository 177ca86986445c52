//go:build unix

package crashtest

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"testing"
	"text/tabwriter"
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

// writeReport writes the table of all campaigns, if there were any.
func writeReport(out io.Writer) {
	if len(rows.all) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "store\ttier\tfault\trounds\tlanded\toperations\tpaid\tunknown\tcharged twice\toutcomes lost\t")
	for _, r := range rows.all {
		v := &r.verdict
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n",
			r.store, r.tier, r.fault, r.rounds, r.landed, v.operations, v.paid, v.unknown, v.twice, v.lost)
	}
	_ = w.Flush()
}

func migrate(t *testing.T, url string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), binary, "migrate", "--store", url).CombinedOutput(); err != nil {
		t.Fatalf("migrating: %v\n%s", err, out)
	}
}
