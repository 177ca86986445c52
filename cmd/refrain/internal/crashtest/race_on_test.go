//go:build race

package crashtest

// buildFlags build the program like the test itself.
var buildFlags = []string{"-race"}
