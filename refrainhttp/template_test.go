package refrainhttp

import (
	"encoding/json"
	"strings"
	"testing"
)

// known are variables with values.
type known map[string]string

func (k known) value(name string, p *pointer) string {
	if p != nil {
		name += ":" + p.text
	}
	return k[name]
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	allowed := []string{"a", "b", varOutcome}
	values := known{"a": "x", "outcome:/id": "ch_1"}
	same := func(s string) string { return s }
	for text, want := range map[string]string{
		"":                         "",
		"plain":                    "plain",
		"${a}":                     "x",
		"<${a}${a}>":               "<xx>",
		"${a} and ${outcome:/id}.": "x and ch_1.",
		"$a $ {a} }":               "$a $ {a} }",
		"[${b}]":                   "[]",
	} {
		tmpl, err := newTemplate(text, allowed)
		if err != nil {
			t.Fatal(err)
		}
		if got := tmpl.expand(values, same, false); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	tmpl, _ := newTemplate("[${b}]", allowed)
	if got := tmpl.expand(values, same, true); got != "" {
		t.Errorf("got %q of a value that is missing, want nothing", got)
	}
	for text, about := range map[string]string{
		"${a": "closing brace", "${c}": "${c}", "${}": "${}", "${a:/id}": "${a:/id}", "${outcome}": "${outcome}",
		"${outcome:id}": "JSON pointer",
	} {
		if _, err := newTemplate(text, allowed); err == nil || !strings.Contains(err.Error(), about) {
			t.Errorf("%q: got %v, want an error about %s", text, err, about)
		}
	}
}

// FuzzEscapes: whatever a value is, it stays a value in the body or the line that it is put into.
func FuzzEscapes(f *testing.F) {
	f.Add(`a"b\c`)
	f.Add("\r\nSet-Cookie: a=b")
	f.Add("</script>\x00\xff\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		doc := `{"a":"` + escaper("application/problem+json")(s) + `","b":1}`
		var got struct {
			A string
			B int
		}
		if err := json.Unmarshal([]byte(doc), &got); err != nil || got.B != 1 {
			t.Errorf("%q became %s: %v", s, doc, err)
		}
		if line := escaper("text/plain")(s); strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("%q became the line %q", s, line)
		}
		if markup := escaper("text/html")(s); strings.ContainsAny(markup, `<>"'`) {
			t.Errorf("%q became the markup %q", s, markup)
		}
	})
}

// A body that says it is JSON must be, whatever its variables stand for.
func TestBodiesAreOfTheirMediaType(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"error":"${detail}","status":${http_status}}`: true,
		`{"of":${outcome:/a},"id":"${resource}"}`:       true,
		`{"error":${detail}}`:                           false,
		`{"error":"${detail}",}`:                        false,
		`<p>${detail}</p>`:                              false,
	} {
		p := Policy{Answers: Answers{Mismatch: Answer{Body: body}}}
		if err := p.Validate(); (err == nil) != want {
			t.Errorf("%s: got error %v, want it accepted: %t", body, err, want)
		}
		p.Answers.Mismatch.Header = []string{"Content-Type: text/html"}
		if err := p.Validate(); err != nil {
			t.Errorf("%s: got error %v, though it is not JSON", body, err)
		}
	}
}
