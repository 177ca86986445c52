package webhook_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain/webhook"
)

func TestASecretNeverPrints(t *testing.T) {
	t.Parallel()
	const text = "topsecret"
	secret := secretsOf(t, text)[0]
	verifier, err := webhook.New(webhook.GitHub, []webhook.Secret{secret}, webhook.Config{})
	if err != nil {
		t.Fatal(err)
	}
	type exported struct{ S webhook.Secret }
	type hidden struct {
		s []webhook.Secret
		p *webhook.Secret
		v *webhook.Verifier
	}
	var out bytes.Buffer
	for _, value := range []any{
		secret, &secret,
		[]webhook.Secret{secret},
		exported{secret},
		hidden{[]webhook.Secret{secret}, &secret, verifier},
		map[string]webhook.Secret{"k": secret},
		verifier, *verifier,
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%5.2f", "%c", "%U", "%p", "%T"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "value", value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "value", value)
		_ = json.NewEncoder(&out).Encode(value)
	}
	_ = xml.NewEncoder(&out).Encode(exported{secret})
	fmt.Fprintln(&out, secret.String(), secret.GoString())
	for _, shown := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%d", []byte(text))} {
		if strings.Contains(strings.ToLower(out.String()), shown) {
			t.Errorf("a secret shows as %q in\n%s", shown, out.String())
		}
	}
	if b, err := json.Marshal(exported{secret}); err != nil || string(b) != `{"S":"[redacted]"}` {
		t.Errorf("got %s, %v", b, err)
	}
}

func TestParseSecretReads(t *testing.T) {
	d := published()[2]
	t.Setenv("WEBHOOK_TEST_SECRET", d.secret)
	references := []string{"env:WEBHOOK_TEST_SECRET"}
	for name, content := range map[string]string{"bare": d.secret, "unix": d.secret + "\n", "dos": d.secret + "\r\n"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		references = append(references, "file:"+path)
	}
	for _, reference := range references {
		secret, err := webhook.ParseSecret(reference)
		if err != nil {
			t.Fatal(err)
		}
		v, err := webhook.New(d.scheme, []webhook.Secret{secret}, d.config)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Verify(d.request(), []byte(d.body)); err != nil {
			t.Errorf("%s: %v", reference, err)
		}
	}
}

func TestParseSecretSaysWhatIsWrong(t *testing.T) {
	t.Setenv("WEBHOOK_TEST_EMPTY", "")
	t.Setenv("WEBHOOK_TEST_LINES", "topsecret\nsecond\n")
	dir := t.TempDir()
	for name, content := range map[string]string{
		"empty": "", "line": "\n", "lines": "topsecret\nsecond\n", "large": strings.Repeat("topsecret", 10_000),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for reference, says := range map[string]string{
		"":                            "env:NAME or file:PATH",
		"topsecret":                   "env:NAME or file:PATH",
		"whsec:topsecret":             "env:NAME or file:PATH",
		"ENV:topsecret":               "env:NAME or file:PATH",
		"env:":                        "env:NAME or file:PATH",
		"env:WEBHOOK_TEST_UNSET":      "not set",
		"env:WEBHOOK_TEST_EMPTY":      "env:WEBHOOK_TEST_EMPTY: it is empty",
		"env:WEBHOOK_TEST_LINES":      "line break",
		"file:" + dir + "/empty":      "/empty: it is empty",
		"file:" + dir + "/line":       "it is empty",
		"file:" + dir + "/lines":      "line break",
		"file:" + dir + "/large":      "is it a secret?",
		"file:" + dir + "/notthere":   "/notthere: no such file",
		"file:" + dir:                 "reading a secret",
		"literal:topsecret topsecret": "env:NAME or file:PATH",
	} {
		_, err := webhook.ParseSecret(reference)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %q", reference, err, says)
			continue
		}
		if strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%q: %q tells the secret", reference, err)
		}
	}
}
