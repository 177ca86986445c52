package refrainhttp

import (
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

// A date is read if it is what the library writes for the time that the library reads, and only then.
func TestDatesAreReadAsTheLibraryDoes(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64N(1_000_000)
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var known dates
	good, bad := 0, 0
	for range 100_000 {
		text := []byte(time.Unix(r.Int64N(1<<33), 0).UTC().Format(http.TimeFormat))
		for range r.IntN(3) {
			text[r.IntN(len(text))] = "0123456789:, GMTSunMonAprDec"[r.IntN(28)]
		}
		s := string(text[:len(text)-r.IntN(2)*r.IntN(2)])
		want, err := time.Parse(http.TimeFormat, s)
		isDate := err == nil && want.Format(http.TimeFormat) == s
		got, ok := known.parse(s)
		if ok != isDate || ok && !got.Equal(want) {
			t.Fatalf("%q: got %v, %t; the library says %v, %v", s, got, ok, want, err)
		}
		if ok {
			good++
		} else {
			bad++
		}
	}
	if good < 1000 || bad < 1000 {
		t.Errorf("%d dates were good and %d bad; both must occur", good, bad)
	}
}

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
