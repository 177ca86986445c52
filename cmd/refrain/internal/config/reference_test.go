package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func reference(t *testing.T) string { return page(t, "configuration.md") }

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The tables of the reference name every field, no other, and its true default.
func TestReferenceNamesEveryFieldAndItsDefault(t *testing.T) {
	t.Parallel()
	documented := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| (?:`([^`|]*)` )?\\| .{30,}")
	for _, m := range row.FindAllStringSubmatch(reference(t), -1) {
		documented[m[1]] = strings.TrimSpace(m[2])
	}
	c, err := Parse("", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range slices.Concat(c.Settings(), settings(c.Defaults.fields(), nil)) {
		if strings.Count(s.Name, ".") == 2 && strings.HasPrefix(s.Name, "answers.") {
			continue // the words of each answer are told of together
		}
		if got, ok := documented[s.Name]; !ok || got != s.Value {
			t.Errorf("%s: the reference says %q, want %q", s.Name, got, s.Value)
		}
		delete(documented, s.Name)
	}
	for name := range documented {
		t.Errorf("the reference speaks of %s, which there is not", name)
	}
}

func TestExamplesOfTheReferenceAreGood(t *testing.T) {
	t.Parallel()
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(reference(t)+page(t, "scopes.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("the reference has no examples")
	}
	for _, b := range blocks {
		if _, err := Parse("example.yaml", []byte(b[1])); err != nil {
			t.Errorf("%v\n%s", err, b[1])
		}
	}
}

// The file of the design, with every field and its default, is what an empty file means.
func TestDefaultsAreThoseOfTheDesign(t *testing.T) {
	t.Parallel()
	const design = `
upstream: http://127.0.0.1:3000
listen:   127.0.0.1:8080
admin:    127.0.0.1:8081
store:    pebble:./refrain-data
defaults:
  mode: enforce
  dialect: default
  key:
    required: false
    from: [header:Idempotency-Key]
    format: lenient
    max_length: 255
  scope:
    principal: [header:Authorization, header:X-Api-Key]
    route: pattern
  fingerprint:
    body: auto
    include: []
    exclude: []
    headers: []
  in_flight: { wait: 5s }
  outcome:
    final:   [2xx, 3xx, 4xx]
    release: [401, 403, 408, 425, 429]
    unknown: [5xx]
  unknown: hold
  lease: 30s
  timeout: 60s
  retention: 24h
  tombstone: 7d
  store_down: closed
  limits: { request_body: 1MiB, response_body: 1MiB }
`
	want, err := Parse("design.yaml", []byte(design))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("", nil)
	if err != nil {
		t.Fatal(err)
	}
	values := func(p *Policy) (all []string) {
		for _, s := range p.Settings() {
			all = append(all, s.Name+"="+s.Value)
		}
		return all
	}
	if g, w := values(&got.Routes[0].Policy), values(&want.Routes[0].Policy); !slices.Equal(g, w) {
		t.Errorf("got %v, want %v", g, w)
	}
	if got.Listen != want.Listen || got.Admin != want.Admin || got.Store != want.Store {
		t.Errorf("got %s %s %s, want %s %s %s", got.Listen, got.Admin, got.Store, want.Listen, want.Admin, want.Store)
	}
}
