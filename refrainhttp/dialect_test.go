package refrainhttp_test

import (
	"testing"

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
