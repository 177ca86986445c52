package refrainhttp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A speech is Answers compiled.
type speech struct {
	marks, outcomeMarks, releaseMarks []mark

	words   [problemKinds]words
	repeats bool
	asks    bool // what a request's body has is in the words
}

// words are what one kind of problem is answered with.
type words struct {
	problemType
	header   []mark
	body     template // with the kind's own detail; nil: a problem document
	detailed template // with a detail that is particular
	escape   func(string) string
}

// A mark is a header field of an answer.
type mark struct {
	name     string
	fixed    []string // the lines, if they are always the same
	variable string   // or the one variable that is the whole value
	template template // or more
}

// The variables of templates.
const (
	varKey, varStatus, varReplayed, varExpires = "key", "status", "replayed", "expires"
	varAdvice                                  = "advice"
	varKeySource                               = "key_source"
	varOutcome                                 = "outcome"
	varResource                                = "resource"
	varRequest                                 = "request"
)

func newSpeech(a *Answers) (s speech, err error) {
	markVariables := []string{varKey, varStatus, varReplayed, varExpires, varAdvice}
	if s.marks, err = newMarks(a.Marks, markVariables); err != nil {
		return s, fmt.Errorf("marks: %w", err)
	}
	if s.outcomeMarks, err = newMarks(a.OutcomeMarks, markVariables); err != nil {
		return s, fmt.Errorf("outcome marks: %w", err)
	}
	if s.releaseMarks, err = newMarks(a.ReleaseMarks, markVariables); err != nil {
		return s, fmt.Errorf("release marks: %w", err)
	}
	s.repeats = a.Repeat.Status != 0
	for k := problemNone + 1; k < problemKinds; k++ {
		t, answer := a.of(k)
		if s.words[k], err = newWords(t, &answer); err != nil {
			return s, fmt.Errorf("%s: %w", t.code, err)
		}
		s.asks = s.asks || s.words[k].detailed.asks(varRequest)
	}
	return s, nil
}

func newWords(t problemType, a *Answer) (w words, err error) {
	switch {
	case !statusAllowed(a.Status):
		return w, fmt.Errorf("status %d does not end a request; they go from 200 to 599", a.Status)
	case !bodyAllowed(a.Status):
		return w, fmt.Errorf("an answer with status %d has no body, and this one has; take another", a.Status)
	}
	kind := ProblemBase + t.code
	t.status, t.code, t.detail = a.Status, a.Code, a.Detail
	w.problemType = t
	all := append([]string{varKey, varStatus, varReplayed, varExpires, varAdvice, varOutcome}, problemVariables()...)
	if w.detailed, err = newTemplate(a.Body, append(slices.Clip(all), varRequest)); err != nil {
		return w, fmt.Errorf("body: %w", err)
	}
	media := mediaJSON
	if w.detailed == nil {
		media = "application/problem+json"
	}
	header := append([]string{"Cache-Control: no-store", "Content-Type: " + media}, a.Header...)
	if w.header, err = newMarks(header, all); err != nil {
		return w, fmt.Errorf("header: %w", err)
	}
	for _, m := range w.header {
		if m.name == "Content-Type" {
			media = essence(m.fixed)
		}
	}
	w.escape = escaper(media)
	known := map[string]string{
		"code": t.code, "title": t.title, "type": kind, "http_status": strconv.Itoa(t.status),
		"retryable": strconv.FormatBool(t.retryable),
	}
	for i := range w.detailed {
		w.detailed[i].raw = w.detailed[i].text == varRequest && isJSON(media) // in any other text it is escaped
	}
	w.detailed = w.detailed.fix(known, w.escape)
	w.body = w.detailed.fix(map[string]string{"detail": t.detail}, w.escape)
	if err := w.checkBody(media); err != nil {
		return w, fmt.Errorf("body: %w", err)
	}
	return w, nil
}

// checkBody sees to it that a body that should be JSON is, whatever the values.
func (w *words) checkBody(media string) error {
	if w.body == nil || !isJSON(media) {
		return nil
	}
	valid := func(v anything) bool { return json.Valid(w.body.append(nil, v, w.escape, false)) }
	switch {
	case !valid("0"):
		return fmt.Errorf("it is not JSON, which its media type says (%s); quote texts, or give it another Content-Type", media)
	case !valid(`"0"`):
		return errRequestQuoted
	}
	return nil
}

// anything gives every variable a value that is JSON with quotes around it and without, and those of a request itself.
type anything string

func (a anything) value(name string, _ *pointer) string {
	if name == varRequest {
		return string(a)
	}
	return "0"
}

var errRequestQuoted = errors.New(
	"${request:/…} stands for a whole value of JSON, quotes and all; write it where a value can be, without quotes")

var errNoLine = errors.New(`this is not a header line such as "Name: value"`)

func newMarks(lines, allowed []string) ([]mark, error) {
	marks := make([]mark, 0, len(lines))
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		name, value = http.CanonicalHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !ok || !isToken(name) || strings.ContainsFunc(value, isControl) {
			return nil, fmt.Errorf("%q: %w", line, errNoLine)
		}
		if framing(name) {
			return nil, fmt.Errorf("%s says how an answer is sent, and is set by the server; remove it", name)
		}
		t, err := newTemplate(value, allowed)
		if err != nil {
			return nil, err
		}
		m := mark{name: name, template: t}
		switch {
		case len(t) == 0 || len(t) == 1 && !t[0].variable:
			m.fixed = []string{value}
		case len(t) == 1 && t[0].pointer == nil:
			m.variable = t[0].text
		}
		marks = append(marks, m)
	}
	return marks, nil
}

// framing reports whether the canonical name is a field that says where a message ends or what becomes of its connection.
func framing(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Transfer-Encoding", "Upgrade", "Trailer", "Content-Length", "Date":
		return true
	}
	return false
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// setMarks sets the fields in the header, and removes those that have no value.
func setMarks(h http.Header, marks []mark, v variables) {
	var lines []string // of all fields, to allocate once
	for i := range marks {
		m := &marks[i]
		if m.fixed != nil {
			h[m.name] = m.fixed
			continue
		}
		var value string
		if m.variable != "" {
			value = v.value(m.variable, nil)
		} else {
			value = m.template.expand(v, oneLine, true)
		}
		if value == "" {
			delete(h, m.name)
			continue
		}
		if lines == nil {
			lines = make([]string, 0, len(marks)-i)
		}
		n := len(lines)
		lines = append(lines, value)
		h[m.name] = lines[n : n+1 : n+1]
	}
}
