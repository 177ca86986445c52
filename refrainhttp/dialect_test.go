package refrainhttp_test

import (
	"testing"
	"time"

	"github.com/refrain-dev/refrain/refrainhttp"
)

func TestEveryDialectCompiles(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, d := range refrainhttp.Dialects() {
		if err := d.Policy.Validate(); err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
		if seen[d.Name] || d.Contract == "" || len(d.Methods) == 0 {
			t.Errorf("%s: it is there twice, or has no contract or methods", d.Name)
		}
		seen[d.Name] = true
	}
}

// A retry that comes after the record is gone is a new event.
func TestSendersAreOutlasted(t *testing.T) {
	t.Parallel()
	for name, schedule := range map[string]time.Duration{
		"standard-webhooks": 75*time.Hour + 36*time.Minute, // the specification's example
		"github":            3 * 24 * time.Hour,            // redelivery by hand
		"shopify":           4 * time.Hour,
		"slack":             6 * time.Minute,
		"twilio":            15 * time.Second,
		"stripe-events":     30 * 24 * time.Hour, // resending by hand; by itself 3 days
		"cloudevents":       4 * 24 * time.Hour,  // says nothing; as long as the longest of those that retry by themselves
	} {
		d, ok := refrainhttp.LookupDialect(name)
		if got := d.Policy.Operation.Retention; !ok || got <= schedule {
			t.Errorf("%s: remembered for %s, want more than %s", name, got, schedule)
		}
	}
}
