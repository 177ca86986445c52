package config

import (
	"strings"
	"testing"
)

func TestSharedStoresAreShownWithoutTheirPassword(t *testing.T) {
	t.Parallel()
	for text, shown := range map[string]string{
		"redis://:hunter2@10.0.0.1:6379/2":                 "redis://:xxxxx@10.0.0.1:6379/2",
		"postgres://u:hunter2@db/app?sslpassword=hunter2":  "postgres://u:xxxxx@db/app",
		"postgres:///app?host=/run/pg&password=hunter2":    "postgres:///app",
		"mysql://u:hunter2@db:3306/app?tls=true":           "mysql://u:xxxxx@db:3306/app",
		"redis+sentinel://u:hunter2@a:26379,b:26379/group": "redis+sentinel://u:xxxxx@a:26379,b:26379/group",
		"sqlite:./50%.db":               "sqlite:./50%.db",
		"redis+cluster://a:7000,b:7000": "redis+cluster://a:7000,b:7000",
	} {
		s, err := ParseStore(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if !s.Shared() || s.URL != text || s.String() != shown {
			t.Errorf("%s: got %q, shown as %s, want it shown as %s", text, s.URL, s, shown)
		}
	}
}

// A slash in a password makes a URL that can be read in another way: it is refused, and not shown.
func TestAPasswordWithASlashIsNoPath(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"redis://u:/hunter2@h/1", "redis+sentinel://u:12/hunter2@h/master", "postgres://u:/hunter2@h/db", "mysql://u:1/hunter2@h/db",
		"redis://u:1/hunter2@h?wait=1",
	} {
		_, err := ParseStore(text)
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "%2F") {
			t.Errorf("%s: got %v, want an error that says how to write it and does not repeat it", text, err)
		}
	}
}

func TestSharedStoresHaveAJournalAndASecret(t *testing.T) {
	t.Parallel()
	c, err := Parse("f.yaml", []byte("store: redis://127.0.0.1\njournal: /var/lib/refrain\nsecret: env:REFRAIN_SECRET\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Journal != "/var/lib/refrain" || c.Secret != "env:REFRAIN_SECRET" {
		t.Errorf("got the journal %q and the secret %q", c.Journal, c.Secret)
	}
	for _, text := range []string{"journal: ./x\n", "secret: env:X\n"} {
		_, err := Parse("f.yaml", []byte("upstream: http://a\n"+text))
		if err == nil || !strings.Contains(err.Error(), "f.yaml:2:") {
			t.Errorf("%s with the embedded store: got %v, want a refusal with its line", text, err)
		}
	}
}
