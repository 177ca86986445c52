package refrainhttp

import (
	"net/http"
	"testing"
	"time"
)

// TestDates reads what it writes, also what it has read before, and nothing that only looks like it.
func TestDates(t *testing.T) {
	t.Parallel()
	var d dates
	start := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	for i := range 3 * 120 { // more than are kept, each twice
		want := start.Add(time.Duration(i/2) * 31 * time.Second)
		text := d.format(want)
		if text != want.Format(http.TimeFormat) {
			t.Errorf("%v got %q", want, text)
		}
		if got, ok := d.parse(text); !ok || !got.Equal(want) {
			t.Errorf("%q got %v, %t", text, got, ok)
		}
	}
	for _, text := range []string{
		"", "Wed, 25 Nov 2026 10:00:00 UTC", "Thu, 25 Nov 2026 10:00:00 GMT", "Wed, 25 Nov 2026 10:00:0x GMT",
		"Wed, 25 nov 2026 10:00:00 GMT", "Wed, 25 Nov 2026 10:00:60 GMT", "Wed, 25 Nov 2026 10:00:\xff\xff GMT",
	} {
		for range 2 {
			if got, ok := d.parse(text); ok {
				t.Errorf("%q got %v, want it refused", text, got)
			}
		}
	}
}
