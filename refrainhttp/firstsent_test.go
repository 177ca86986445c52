package refrainhttp

import (
	"net/http"
	"testing"
	"time"
)

func TestFirstSent(t *testing.T) {
	t.Parallel()
	p, err := compile("POST /", Policy{Key: Key{FirstSent: "repeatability-first-sent", FirstSentWithin: time.Hour}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, tt := range []struct {
		name   string
		lines  []string
		hasKey bool
		want   problemKind
	}{
		{"just now", []string{at(0)}, true, problemNone},
		{"at the window's end", []string{at(-time.Hour)}, true, problemNone},
		{"after the window", []string{at(-time.Hour - time.Second)}, true, problemTooLate},
		{"by a clock that is ahead", []string{at(time.Minute)}, true, problemNone},
		{"without a key or a date", nil, false, problemNone},
		{"without a key", []string{at(0)}, false, problemKeyInvalid},
		{"without a date", nil, true, problemKeyInvalid},
		{"with two dates", []string{at(0), at(0)}, true, problemKeyInvalid},
		{"with another date", []string{now.Format(time.RFC3339)}, true, problemKeyInvalid},
		{"with an empty date", []string{""}, true, problemKeyInvalid},
	} {
		h := http.Header{}
		if tt.lines != nil {
			h["Repeatability-First-Sent"] = tt.lines
		}
		if got := p.checkFirstSent(h, tt.hasKey, now); got.kind != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
