package conformance

import "testing"

// Every test that is run is explained, once, and nothing else is.
func TestMeanings(t *testing.T) {
	t.Parallel()
	run := map[string]bool{}
	for _, c := range Contracts() {
		for _, r := range c.Rules {
			run[r.Test] = run[r.Test] || r.Not == ""
			if r.Not == "" && r.check == nil {
				t.Errorf("%s of %s has neither a check nor a reason", r.Test, c.Dialect)
			}
		}
	}
	for _, m := range meanings() {
		if !run[m.test] {
			t.Errorf("%s is explained, but not run, or explained before", m.test)
		}
		delete(run, m.test)
	}
	for test, is := range run {
		if is {
			t.Errorf("%s is not explained", test)
		}
	}
}
