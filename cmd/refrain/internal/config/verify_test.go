package config

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain/webhook"
)

func TestSecretsNeverShow(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"verify: hunter2", "verify: [hunter2]", "verify: { secrets: hunter2 }", "verify: { secrets: [whsec_hunter2] }",
		"verify: { secrets: { hunter: hunter2 } }", "verify: { secret: hunter2 }", "verify: { url: \"https://a:hunter2@hooks.example\" }",
		"unknown: probe\n  probe: { url: \"/?k=${key}\", headers: [\"Authorization Bearer hunter2\"], happened: { status: 2xx } }",
		"unknown: probe\n  probe: { url: \"/?k=${key}\", headers: [\"Authorization: Bearer hunter2${\"], happened: { status: 2xx } }",
		"unknown: probe\n  probe: { url: \"/?k=${key}\", headers: [\"Authorization: Bearer hunter2${x}\"], happened: { status: 2xx } }",
		"unknown: probe\n  probe: { url: \"/?k=${key}\", headers: [\"Authorization: \\u0007hunter2\"], happened: { status: 2xx } }",
		"unknown: probe\n  probe: { url: \"/?token=hunter2&k=${kay}\", happened: { status: 2xx } }",
		"unknown: probe\n  probe: { url: \"/?token=hunter2<&k=${key}\", happened: { status: 2xx } }",
	} {
		_, err := Parse("f.yaml", []byte("defaults:\n  "+text+"\nroutes:\n  - match: POST /x\n    key: { from: [] }\n"))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error without the secret", text, err)
		}
	}
}

// A dialect that is made from that of a sender has its way to sign, however long the way to it is.
func TestDialectsMadeFromASendersSignAsItDoes(t *testing.T) {
	t.Setenv("REFRAIN_TEST_SECRET", "whsec_c2VjcmV0")
	const file = `
dialects:
  ours: { extends: %, retention: 30d }
  theirs: { extends: ours, tombstone: 60d }
routes:
  - { match: POST /ours, dialect: ours, verify: { secrets: "env:REFRAIN_TEST_SECRET" } }
  - { match: POST /theirs, dialect: theirs, verify: { secrets: "env:REFRAIN_TEST_SECRET" } }
  - { match: POST /open, dialect: theirs }
`
	for sender, scheme := range map[string]webhook.Scheme{
		"github": webhook.GitHub, "stripe-events": webhook.Stripe, "standard-webhooks": webhook.StandardWebhooks, "slack": webhook.Slack,
	} {
		c, err := Parse("f.yaml", []byte(strings.Replace(file, "%", sender, 1)))
		if err != nil {
			t.Errorf("%s: %v", sender, err)
			continue
		}
		for i := range 2 {
			err := c.Routes[i].Policy.verifier.Verify(httptest.NewRequest(http.MethodPost, "/", nil), nil)
			if err == nil || !strings.HasPrefix(err.Error(), string(scheme)+" webhook") {
				t.Errorf("%s: got %v, want what the scheme says", sender, err)
			}
		}
		if w := c.Warnings(); len(w) != 1 || w[0].Path != "POST /open" || w[0].Origin.Line != 8 {
			t.Errorf("%s: got warnings %v, want one of the open inbox", sender, w)
		}
	}
}

// A sequence remembers every caller for good, so they should not be able to invent themselves.
func TestSequencesOfInventedCallersAreWarnedOf(t *testing.T) {
	t.Parallel()
	for principal, warned := range map[string]bool{
		"header:Authorization": true, "[mtls, cookie:s]": true, "mtls": false, "[mtls, \"trusted:X-User\"]": false,
	} {
		text := "trusted_proxies: 10.0.0.1\ntls: { certificate: c, key: k, client_ca: a }\nroutes:\n  - match: POST /x\n" +
			"    key: { from: \"sequence:X-Seq\" }\n    scope: { principal: " + principal + " }\n"
		c, err := Parse("f.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		w := c.Warnings()
		if warned != (len(w) == 1) || warned && (w[0].Origin.Line != 5 || !strings.Contains(w[0].Text, "keeps a mark for good")) {
			t.Errorf("%s: got %v", principal, w)
		}
	}
}

// What is weaker than it looks is warned of, with its line.
func TestInboxesThatKeepNobodyOutAreWarnedOf(t *testing.T) {
	t.Setenv("REFRAIN_TEST_SECRET", "s")
	const file = `
defaults: { dialect: github, verify: { secrets: "env:REFRAIN_TEST_SECRET" } }
routes:
  - { match: POST /off, mode: off }
  - { match: POST /watched, mode: observe }
  - { match: POST hooks.example/in }
  - { match: POST /good }
`
	c, err := Parse("f.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	got := c.Warnings().Error()
	for _, want := range []string{
		"f.yaml:2:49: verify.secrets: does not keep out what nobody signed: mode is off (f.yaml:4:31); use enforce",
		"mode is observe (f.yaml:5:35)", "f.yaml:6:14: POST hooks.example/in: must be signed, but only with that host",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %s", got, want)
		}
	}
	if strings.Contains(got, "/good") || len(c.Warnings()) != 3 {
		t.Errorf("got\n%s\nwant three warnings", got)
	}
}
