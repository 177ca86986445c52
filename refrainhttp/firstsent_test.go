package refrainhttp

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

func TestFirstSent(t *testing.T) {
	t.Parallel()
	p, err := compile("POST /", Policy{
		Key:       Key{FirstSent: "repeatability-first-sent", FirstSentWithin: time.Hour},
		Operation: refrain.Policy{Retention: time.Hour, Tombstone: 2 * time.Hour},
	}, nil)
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
		{"by a clock that is as far ahead as a key is remembered longer", []string{at(2 * time.Hour)}, true, problemNone},
		{"too far in the future", []string{at(2*time.Hour + time.Second)}, true, problemKeyInvalid},
		{"in another age", []string{"Fri, 31 Dec 9999 23:59:59 GMT"}, true, problemKeyInvalid},
		{"in an age gone by", []string{"Sat, 01 Jan 0000 00:00:00 GMT"}, true, problemTooLate},
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

// TestForgottenKeysNeverRunAgain repeats requests for longer than they may be repeated, some with a body that takes its time until
// their key is forgotten, by clients whose clock is right and by some whose clock is ahead.
func TestForgottenKeysNeverRunAgain(t *testing.T) {
	t.Parallel()
	for _, tombstone := range []time.Duration{-1, time.Hour, 5 * time.Hour} {
		for _, ahead := range []time.Duration{0, time.Hour, 5 * time.Hour, day} {
			synctest.Test(t, func(t *testing.T) {
				guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
				if err != nil {
					t.Fatal(err)
				}
				m, err := New(guard, Config{Policy: Policy{
					Key:       Key{FirstSent: "First-Sent", FirstSentWithin: time.Hour},
					Operation: refrain.Policy{Retention: time.Hour, Tombstone: tombstone, Wait: -1},
				}})
				if err != nil {
					t.Fatal(err)
				}
				runs := 0
				h := m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runs++ }))
				start := time.Now()
				sent := start.Add(ahead).UTC().Format(http.TimeFormat)
				for time.Since(start) < 2*day {
					for _, slow := range []time.Duration{0, 3 * time.Minute} {
						r := httptest.NewRequest(http.MethodPost, "/", &slowly{strings.NewReader("{}"), slow})
						r.Header["Idempotency-Key"], r.Header["First-Sent"] = []string{"k"}, []string{sent}
						h.ServeHTTP(httptest.NewRecorder(), r)
					}
					time.Sleep(time.Minute) // of the bubble's time
				}
				if accepted := ahead <= max(tombstone, 0); runs > 1 || accepted && runs == 0 {
					t.Errorf("with a tombstone of %s, by a clock that is ahead by %s: it ran %d times", tombstone, ahead, runs)
				}
			})
		}
	}
}

// A slowly reader takes its time.
type slowly struct {
	io.Reader
	by time.Duration
}

func (s *slowly) Read(b []byte) (int, error) {
	time.Sleep(s.by)
	return s.Reader.Read(b)
}

func TestFirstSentWithinWhatIsRemembered(t *testing.T) {
	t.Parallel()
	p := Policy{
		Key:       Key{FirstSent: "First-Sent", FirstSentWithin: 2 * time.Hour},
		Operation: refrain.Policy{Retention: time.Hour, Tombstone: time.Hour},
	}
	if err := p.Validate(); err != nil {
		t.Errorf("got error %v", err)
	}
	p.Key.FirstSentWithin++
	if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "remembered for 2h0m0s only") {
		t.Errorf("got error %v, want one about how long keys are remembered", err)
	}
}
