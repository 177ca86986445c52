package main

import "testing"

func TestDocs(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"docs-markdown": {"docs", "--config", "testdata/docs.yaml"},
		"docs-openapi":  {"docs", "--config", "testdata/docs.yaml", "--openapi"},
	} {
		got := command(args...)
		if got.status != statusGood || got.stderr != "" {
			t.Errorf("%v: got status %d, %s", args, got.status, got.stderr)
		}
		golden(t, "testdata/"+name+".golden", got.stdout)
	}
}
