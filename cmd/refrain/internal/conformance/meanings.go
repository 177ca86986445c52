package conformance

import (
	_ "embed"
	"strings"
)

//go:embed meanings.txt
var meaningsText string

// A meaning says what a test does, for people.
type meaning struct{ test, text string }

// meanings returns those of all tests that are run, in the order of their subjects.
func meanings() (all []meaning) {
	for line := range strings.Lines(meaningsText) {
		test, text, _ := strings.Cut(strings.TrimSpace(line), ": ")
		all = append(all, meaning{test, text})
	}
	return all
}
