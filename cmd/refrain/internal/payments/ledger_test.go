package payments

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func order(reference string) Order { return Order{Amount: 4200, Currency: "EUR", Reference: reference} }

func openLedger(t *testing.T, path string) *Ledger {
	t.Helper()
	l, err := OpenLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestLedgerCountsEveryChargeAlsoWhenReopened(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	l := openLedger(t, path)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for _, ref := range []string{"a", "b", "a"} {
				if _, err := l.Append(order(ref)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for name, l := range map[string]*Ledger{"live": l, "reopened": openLedger(t, path)} {
		if got := l.Counts(); got["a"] != 100 || got["b"] != 50 || len(got) != 2 {
			t.Errorf("%s ledger: got counts %v, want a:100 b:50", name, got)
		}
		ids := map[string]bool{}
		for _, c := range l.Charges() {
			ids[c.ID] = true
		}
		if len(ids) != 150 {
			t.Errorf("%s ledger: got %d distinct charge IDs, want 150", name, len(ids))
		}
	}
}

func TestLedgerCutsATornLastLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	if _, err := openLedger(t, path).Append(order("whole")); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path, `{"id":"ch_000002","refe`)
	if _, err := openLedger(t, path).Append(order("next")); err != nil {
		t.Fatal(err)
	}
	if got := openLedger(t, path).Counts(); got["whole"] != 1 || got["next"] != 1 || len(got) != 2 {
		t.Errorf("got counts %v, want whole:1 next:1", got)
	}
}

func TestLedgerRefusesAnUnreadableLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	appendTo(t, path, "{\"id\":\"ch_000001\",\"reference\":\"a\"}\nnonsense\n")
	_, err := OpenLedger(path)
	if err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("got error %v, want one that names line 2", err)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}
