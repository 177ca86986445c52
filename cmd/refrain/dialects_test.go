package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/refrain-dev/refrain/refrainhttp"
)

var httpDate = regexp.MustCompile(`[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`)

// The example of every dialect runs, and prints what the file beside it says but for its dates.
func TestExamplesOfDialects(t *testing.T) {
	t.Parallel()
	const folder = "../../examples/dialects"
	bin := filepath.Join(t.TempDir(), "dialects")
	if out, err := exec.Command("go", "build", "-o", bin, folder).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, d := range refrainhttp.Dialects() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(bin, "-refrain", os.Args[0], "-dir", folder, d.Name)
			cmd.Env = append(os.Environ(), asCommand+"=1")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			golden(t, filepath.Join(folder, d.Name+".txt"), httpDate.ReplaceAllString(string(out), "Sun, 06 Nov 1994 08:49:37 GMT"))
		})
	}
}
