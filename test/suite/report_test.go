package main

import (
	"strings"
	"testing"
)

const pkg = `"Package":"github.com/refrain-dev/refrain/memstore"`

func reportOf(t *testing.T, lines ...string) (*report, string) {
	t.Helper()
	var out strings.Builder
	r := newReport(&out)
	for _, l := range lines {
		r.line([]byte(l + "\n"))
	}
	r.summary()
	return r, out.String()
}

func TestReportFailure(t *testing.T) {
	t.Parallel()
	r, out := reportOf(t,
		`{"Action":"run",`+pkg+`,"Test":"TestA"}`,
		`{"Action":"output",`+pkg+`,"Test":"TestA","Output":"    a_test.go:1: got 1, want 2\n"}`,
		`{"Action":"fail",`+pkg+`,"Test":"TestA","Elapsed":0.1}`,
		`{"Action":"fail",`+pkg+`,"Elapsed":0.2}`,
	)
	if r.failed != 1 {
		t.Errorf("got %d failures, want 1", r.failed)
	}
	for _, want := range []string{"FAIL  ./memstore TestA", "got 1, want 2", "1 failed"} {
		if !strings.Contains(out, want) {
			t.Errorf("got %q, want it to contain %q", out, want)
		}
	}
}

func TestReportPackageThatDoesNotRun(t *testing.T) {
	t.Parallel()
	r, out := reportOf(t,
		`{"Action":"build-output","ImportPath":"x","Output":"memstore.go:3: undefined: x\n"}`,
		`{"Action":"output",`+pkg+`,"Output":"FAIL [build failed]\n"}`,
		`{"Action":"fail",`+pkg+`,"Elapsed":0,"FailedBuild":"x"}`,
	)
	if r.failed != 1 {
		t.Errorf("got %d failures, want 1", r.failed)
	}
	if !strings.Contains(out, "undefined: x") {
		t.Errorf("got %q, want the compiler's error in it", out)
	}
}

func TestReportSkips(t *testing.T) {
	t.Parallel()
	r, out := reportOf(t,
		`{"Action":"output",`+pkg+`,"Test":"TestA","Output":"=== RUN   TestA\n"}`,
		`{"Action":"output",`+pkg+`,"Test":"TestA","Output":"    a_test.go:1: no server\n"}`,
		`{"Action":"skip",`+pkg+`,"Test":"TestA"}`,
		`{"Action":"run",`+pkg+`,"Test":"TestB"}`,
		`{"Action":"pass",`+pkg+`,"Test":"TestB"}`,
		`{"Action":"pass",`+pkg+`,"Elapsed":0.2}`,
	)
	if r.failed != 0 || r.passed != 1 {
		t.Errorf("got %d failed, %d passed, want 0 and 1", r.failed, r.passed)
	}
	if !strings.Contains(out, "skip  ./memstore TestA: a_test.go:1: no server") {
		t.Errorf("got %q, want the reason of the skip in it", out)
	}
}
