package refrainhttp

import (
	"errors"
	"fmt"
	"html"
	"slices"
	"strings"
)

// A template is text with variables: ${name}.
type template []segment

// A segment is text, or a variable.
type segment struct {
	text     string // or the variable's name
	variable bool
	pointer  *pointer // of an ${outcome:/pointer} or ${request:/pointer}
	raw      bool     // its value is JSON already, and stays as it is
}

var errUnclosed = errors.New("a ${ has no closing brace")

// newTemplate compiles a template that may use the variables.
func newTemplate(text string, allowed []string) (template, error) {
	var t template
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "${")
		if before != "" {
			t = append(t, segment{text: before})
		}
		if !found {
			break
		}
		name, next, closed := strings.Cut(after, "}")
		if !closed {
			return nil, fmt.Errorf("%q: %w", text, errUnclosed)
		}
		s, err := newVariable(name, allowed)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		t, rest = append(t, s), next
	}
	return t, nil
}

// newVariable compiles a variable. One that is allowed as header:NAME takes any name.
func newVariable(name string, allowed []string) (segment, error) {
	place, path, hasPath := strings.Cut(name, ":")
	for _, a := range allowed {
		switch {
		case a == place+":NAME" && path != "":
			return segment{text: name, variable: true}, nil
		case a != place || hasPath != (a == varOutcome || a == varRequest):
			continue
		case name == varResource:
			path = "/id" // where it is looked for first
		case !hasPath:
			return segment{text: name, variable: true}, nil
		}
		if place == varRequest {
			if _, err := newEcho(path); err != nil {
				return segment{}, err
			}
		}
		p, err := newPointer(path)
		return segment{text: place, variable: true, pointer: p}, err
	}
	return segment{}, fmt.Errorf("there is no variable ${%s}; there are %s", name, strings.Join(allowed, ", "))
}

// fix returns the template with the variables whose values are known replaced by them.
func (t template) fix(values map[string]string, escape func(string) string) (fixed template) {
	for _, s := range t {
		if value, known := values[s.text]; known && s.variable {
			s = segment{text: escape(value)}
		}
		if last := len(fixed) - 1; last >= 0 && !s.variable && !fixed[last].variable {
			fixed[last].text += s.text
			continue
		}
		fixed = append(fixed, s)
	}
	return fixed
}

// variables give the values of a template's.
type variables interface {
	value(name string, p *pointer) string
}

// expand returns the text with each value as escape makes it. It is empty if one of the values is and whole says so.
func (t template) expand(v variables, escape func(string) string, whole bool) string {
	return string(t.append(nil, v, escape, whole))
}

// append appends what expand returns.
func (t template) append(b []byte, v variables, escape func(string) string, whole bool) []byte {
	start := len(b)
	for i := range t {
		s := &t[i]
		if !s.variable {
			b = append(b, s.text...)
			continue
		}
		value := v.value(s.text, s.pointer)
		if value == "" && whole {
			return b[:start]
		}
		if !s.raw {
			value = escape(value)
		}
		b = append(b, value...)
	}
	return b
}

// asks reports whether the template has a variable of that name.
func (t template) asks(name string) bool {
	return slices.ContainsFunc(t, func(s segment) bool { return s.variable && s.text == name })
}

// escaper returns what makes a value part of a body of that media type.
func escaper(media string) func(string) string {
	switch {
	case isJSON(media):
		return escapeJSON
	case media == "text/plain":
		return oneLine
	}
	return html.EscapeString
}

func escapeJSON(s string) string {
	if charsOf(s)&(unprintable|structural) == 0 {
		return s // nearly always
	}
	b := appendQuoted(nil, []byte(s))
	return string(b[1 : len(b)-1])
}

// oneLine keeps a value from ending the line that it is in.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
