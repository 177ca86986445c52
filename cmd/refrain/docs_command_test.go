package main

import (
	"strings"
	"testing"
)

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

// Whoever only describes what the file says may do so where the secrets are not. Whoever serves may not.
func TestDescribingTakesNoSecrets(t *testing.T) {
	t.Parallel()
	here := write(t, "secret", "s3cret-that-is-here")
	file := write(t, "refrain.yaml", "upstream: http://127.0.0.1:1\nroutes:\n  - match: POST /hooks\n    dialect: standard-webhooks\n"+
		"    verify: { secrets: [\"env:REFRAIN_TEST_NOT_SET\", \"file:"+write(t, "good", "whsec_aGVyZQ==")+"\"] }\n"+
		"  - match: POST /other\n    dialect: github\n    verify: { secrets: \"file:"+here+"\" }\n")
	for args, want := range map[string]string{
		"explain POST /hooks --config " + file:                 "of which not set here: env:REFRAIN_TEST_NOT_SET",
		"explain POST /hooks -H Webhook-Id:1 --config " + file: "refused with 401 signature-invalid",
		"explain POST /other --config " + file:                 "[file:" + here + "]",
		"docs --config " + file:                                "signature-invalid",
		"docs --openapi --config " + file:                      "signature-invalid",
	} {
		got := command(strings.Fields(args)...)
		if got.status != statusGood || !strings.Contains(got.stdout, want) || strings.Contains(got.stdout, "s3cret") {
			t.Errorf("%s: got %d, %s\n%s\nwant %s and no secret", args, got.status, got.stderr, got.stdout, want)
		}
	}
	if got := command("ops", "list", "--config", file, "--admin", "127.0.0.1:2"); !strings.Contains(got.stderr, "no proxy answers") {
		t.Errorf("ops: got %s, want it to get as far as the proxy", got.stderr)
	}
	for _, name := range []string{"proxy", "check"} {
		got := command(name, "--config", file)
		if said := got.stdout + got.stderr; got.status != statusFault || !strings.Contains(said, "env:REFRAIN_TEST_NOT_SET: the variable is not set") {
			t.Errorf("%s: got %d, %s, want it refused", name, got.status, said)
		}
	}
	bad := write(t, "bad.yaml", "routes:\n  - match: POST /x\n    dialect: slack\n    verify: { secrets: \"env:REFRAIN_TEST_NOT_SET\", header: X }\n")
	if got := command("docs", "--config", bad); got.status != statusFault || !strings.Contains(got.stderr, "its header is fixed") {
		t.Errorf("got %d, %s, want what else is wrong told", got.status, got.stderr)
	}
}
