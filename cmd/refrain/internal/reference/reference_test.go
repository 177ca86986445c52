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

// TestOverlayHasActions, for without them it would be none.
func TestOverlayHasActions(t *testing.T) {
	t.Parallel()
	for _, contracts := range [][]refrainhttp.Contract{nil, {{Match: "POST /v1/"}}} {
		var out bytes.Buffer
		if err := Overlay(&out, contracts); !errors.Is(err, ErrNoTarget) || out.Len() != 0 {
			t.Errorf("got %q and error %v, want nothing but an error", out.String(), err)
		}
	}
}

// TestRefusedKeysAreNotAskedFor, neither by the page nor by the overlay.
func TestRefusedKeysAreNotAskedFor(t *testing.T) {
	t.Parallel()
	m, err := refrainhttp.New(newGuard(t), refrainhttp.Config{Gateway: true, Routes: []refrainhttp.Route{
		{Match: []string{"POST /a"}, Policy: refrainhttp.Policy{Mode: refrainhttp.Refuse}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var page, over bytes.Buffer
	if err := errors.Join(Markdown(&page, m.Contracts()), Overlay(&over, m.Contracts())); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page.String(), "may carry a key") || !strings.Contains(page.String(), "refused with 501") {
		t.Errorf("got page\n%s\nwant word that keys are refused", &page)
	}
	if text := over.String(); strings.Contains(text, "parameters") || !strings.Contains(text, "501") || strings.Contains(text, "409") {
		t.Errorf("got overlay\n%s\nwant the 501 and no parameter", text)
	}
}

// TestUnknownOperations: what becomes of them is said as it is.
func TestUnknownOperations(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{"hold": "no retry runs", "rerun": "a retry runs again", "probe": "has the API asked"} {
		var page bytes.Buffer
		if err := Markdown(&page, []refrainhttp.Contract{{Match: "POST /a", Unknown: word}}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(page.String(), want) {
			t.Errorf("%s: got\n%s\nwant %q in it", word, &page, want)
		}
	}
}

// TestReleasedAnswers: a 503 with Retry-After is one of them, unless the contract names 503.
func TestReleasedAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                    string
		kept, released, unknown []string
		want                    string
	}{
		{"classes", []string{"2xx"}, []string{"429"}, []string{"5xx"}, "a retry runs: 429, 503 with `Retry-After`.\n"},
		{"no list", []string{"2xx"}, nil, []string{"5xx"}, "a retry runs: 503 with `Retry-After`.\n"},
		{"kept", []string{"2xx", "503"}, []string{"429"}, nil, "a retry runs: 429.\n"},
		{"released", nil, []string{"429", "503"}, nil, "a retry runs: 429, 503.\n"},
	} {
		c := refrainhttp.Contract{Match: "POST /a", Unknown: "hold"}
		c.Answers.Kept, c.Answers.Released, c.Answers.Unknown = test.kept, test.released, test.unknown
		var page bytes.Buffer
		if err := Markdown(&page, []refrainhttp.Contract{c}); err != nil || !strings.Contains(page.String(), test.want) {
			t.Errorf("%s: got %v and\n%s\nwant %q in it", test.name, err, &page, test.want)
		}
	}
}

// TestRules: what an answer has in its header or its body goes before its status, and clients must know it.
func TestRules(t *testing.T) {
	t.Parallel()
	p := refrainhttp.Policy{Outcomes: refrainhttp.Outcomes{
		Headers: []refrainhttp.HeaderRule{{Name: "Should-Retry", Value: "true", Class: refrainhttp.Release}},
		Bodies: []refrainhttp.BodyRule{
			{Pointer: "/error/code", Value: "-32603", Class: refrainhttp.Unknown}, {Pointer: "/result", Class: refrainhttp.Final},
		},
	}}
	m, err := refrainhttp.New(newGuard(t), refrainhttp.Config{Routes: []refrainhttp.Route{{Match: []string{"POST /a"}, Policy: p}}})
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	const want = "- Whatever its status, an answer says with the header `Should-Retry: true` that nothing happened, with -32603 at " +
		"`/error/code` in its body that it is open whether it happened, with anything at `/result` in its body that it is kept.\n"
	if err := Markdown(&page, m.Contracts()); err != nil || !strings.Contains(page.String(), want) {
		t.Errorf("got %v and\n%s\nwant %q in it", err, &page, want)
	}
}

// TestEachProblemOnce, though a dialect words several alike.
func TestEachProblemOnce(t *testing.T) {
	t.Parallel()
	var page bytes.Buffer
	row := refrainhttp.ProblemContract{Code: "unknown", Status: 500, Advice: "same-key"}
	err := Markdown(&page, []refrainhttp.Contract{{Match: "POST /a", Unknown: "hold", Problems: []refrainhttp.ProblemContract{row, row}}})
	if n := strings.Count(page.String(), "| 500 | `unknown` |"); err != nil || n != 1 {
		t.Errorf("got %d rows and error %v, want one row", n, err)
	}
}
