package reference

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

func newGuard(t *testing.T) *refrain.Guard {
	t.Helper()
	g, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestTargets(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"POST /charges":                     "$.paths['/charges'].post",
		"PUT /charges/{id}":                 "$.paths['/charges/{id}'].put",
		"PATCH api.example.com/a":           "$.paths['/a'].patch",
		"POST /":                            "$.paths[*].post",
		"POST /{$}":                         "$.paths['/'].post",
		"POST /v1/":                         "",
		"POST /files/{path...}":             "",
		"DELETE example.com/files/{id}/{$}": "$.paths['/files/{id}/'].delete",
	} {
		if got := target(pattern); got != want {
			t.Errorf("%s: got %q, want %q", pattern, got, want)
		}
	}
}

// Whatever the dialect, the page and the overlay are whole, and the overlay is YAML that reads back.
func TestEveryDialectIsDescribed(t *testing.T) {
	t.Parallel()
	for _, d := range refrainhttp.Dialects() {
		m, err := refrainhttp.New(newGuard(t), refrainhttp.Config{Routes: []refrainhttp.Route{
			{Match: []string{"POST /a", "POST /b"}, Policy: d.Policy}, {Match: []string{"POST /v1/"}, Policy: d.Policy},
		}})
		if err != nil {
			t.Fatal(err)
		}
		var page, over bytes.Buffer
		if err := Markdown(&page, m.Contracts()); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(page.String(), "\n## "); n != 1 || !strings.Contains(page.String(), "`POST /a` `POST /b`") {
			t.Errorf("%s: got %d sections, want one for all that are alike:\n%s", d.Name, n, page.String())
		}
		if err := Overlay(&over, m.Contracts()); !errors.Is(err, ErrNoTarget) || !strings.Contains(err.Error(), "POST /v1/") {
			t.Errorf("%s: got error %v, want one that names POST /v1/", d.Name, err)
		}
		var doc overlay
		if err := yaml.Unmarshal(over.Bytes(), &doc); err != nil || len(doc.Actions) != 2 || len(doc.Actions[0].Update.Responses) == 0 {
			t.Errorf("%s: got %d actions, %v:\n%s", d.Name, len(doc.Actions), err, over.String())
		}
	}
}
