package config

import (
	"strings"
	"testing"
)

func TestSecretsNeverShow(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"verify: hunter2", "verify: [hunter2]", "verify: { secrets: hunter2 }", "verify: { secrets: [whsec_hunter2] }",
		"verify: { secrets: { hunter: hunter2 } }", "verify: { secret: hunter2 }",
	} {
		_, err := Parse("f.yaml", []byte("defaults:\n  "+text+"\nroutes:\n  - match: POST /x\n    key: { from: [] }\n"))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error without the secret", text, err)
		}
	}
}
