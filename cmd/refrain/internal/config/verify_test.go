package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secretFile returns the name of a file with the text.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSecretsThatCannotBeReadHaveAPlace(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none")
	for reference, want := range map[string]string{
		"env:REFRAIN_TEST_UNSET":                "the secret in env:REFRAIN_TEST_UNSET: the variable is not set",
		"file:" + missing:                       "reading a secret: open " + missing,
		"file:" + secretFile(t, ""):             "it is empty",
		"file:" + secretFile(t, "not base64!!"): "secret 1 of 1: it is not base64",
		"file:" + secretFile(t, "hunter2\nx"):   "it has a line break",
	} {
		c, err := Parse("f.yaml", []byte("routes:\n  - match: POST /x\n    verify:\n      scheme: standard-webhooks\n"+
			"      secrets:\n        - file:"+secretFile(t, "whsec_AAAA")+"\n        - "+reference+"\n"))
		if err != nil {
			t.Errorf("%s: %v", reference, err)
			continue
		}
		err = c.ReadSecrets()
		if _, ok := errors.AsType[Problems](err); !ok {
			t.Errorf("%s: got %v, want Problems", reference, err)
			continue
		}
		if text := err.Error(); !strings.HasPrefix(text, "f.yaml:7:11: routes[0].verify.secrets[1]: ") || !strings.Contains(text, want) ||
			strings.Contains(text, "hunter2") || strings.Contains(text, "base64!!") {
			t.Errorf("%s: got %s, want the line and %q", reference, text, want)
		}
	}
}

// Who forgets to read the secrets lets nobody in.
func TestUnreadSecretsVerifyNothing(t *testing.T) {
	t.Parallel()
	text := "routes:\n  - match: POST /x\n    verify: { scheme: hmac, header: X-Sig, secrets: [file:" + secretFile(t, "s") + "] }\n" +
		"  - match: POST /open\n"
	c, err := Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, "/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Sig", hex.EncodeToString(hmac.New(sha256.New, []byte("s")).Sum(nil)))
	routes := c.Middleware().Routes
	if err := routes[0].Policy.Verify(r, nil); !errors.Is(err, errSecretsNotRead) {
		t.Errorf("got %v, want a refusal", err)
	}
	if routes[1].Policy.Verify != nil {
		t.Error("a route without verify verifies")
	}
	if err := c.ReadSecrets(); err != nil {
		t.Fatal(err)
	}
	if err := c.Middleware().Routes[0].Policy.Verify(r, nil); err != nil {
		t.Errorf("got %v once the secrets are read", err)
	}
}

func TestSecretsNeverShow(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"verify: hunter2", "verify: [hunter2]", "verify: { secrets: hunter2 }", "verify: { secrets: [whsec_hunter2] }",
		"verify: { secrets: { hunter: hunter2 } }", "verify: { secret: hunter2 }", "verify: { scheme: github, secrets: 'env: hunter2 x' }",
	} {
		_, err := Parse("f.yaml", []byte("defaults:\n  "+text+"\nroutes:\n  - match: POST /x\n    key: { from: [] }\n"))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error without the secret", text, err)
		}
	}
}

func TestUnverifiedSendersAreWarnedOf(t *testing.T) {
	t.Parallel()
	c, err := Parse("f.yaml", []byte(`
dialects:
  ours: { extends: slack }
defaults: { dialect: github }
routes:
  - match: POST /github
  - match: POST /verified
    verify: { scheme: github, secrets: "env:A" }
  - match: POST /ours
    dialect: ours
  - match: POST /events
    dialect: cloudevents
  - match: POST /off
    mode: off
  - match: POST /api
    dialect: default
`))
	if err != nil {
		t.Fatal(err)
	}
	want := "f.yaml:4:22: POST /github: dialect github without verify: whoever reaches this route can deliver events; " +
		"add verify: {scheme: github, secrets: [env:NAME]}\n" +
		"f.yaml:10:14: POST /ours: dialect ours without verify: whoever reaches this route can deliver events; " +
		"add verify: {scheme: slack, secrets: [env:NAME]}"
	if got := c.Warnings().Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
