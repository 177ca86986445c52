package refrainhttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

// An arrayPath is where an array is in a document: member after member.
type arrayPath []string

func newArrayPath(text string) (arrayPath, error) { return pointerTokens(text) }

// An extent is where a value is in a document.
type extent struct{ start, end int }

// An array is where one is, with its brackets, and its elements.
type array struct {
	extent
	elements []extent
}

var (
	errAmbiguous = errors.New("the body has no single meaning, as with a member that is there twice")
	errNoArray   = errors.New("there is no array")
)

// find returns the array at the path in a document.
func (p arrayPath) find(doc []byte, work *workspace) (array, error) {
	canonical, plain := work.json.append(work.b[:0], doc, nil)
	work.b = canonical
	switch {
	case plain:
	case json.Valid(doc):
		return array{}, errAmbiguous
	default:
		return array{}, errNoArray
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	for _, name := range p {
		if !enterMember(d, name) {
			return array{}, errNoArray
		}
	}
	return readArray(d)
}

// enterMember moves to the value of a member of the object that comes next. It reports false if there is none.
func enterMember(d *json.Decoder, name string) bool {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return false
		}
		if t == name {
			return true
		}
		var other json.RawMessage
		if d.Decode(&other) != nil {
			return false
		}
	}
	return false
}

func readArray(d *json.Decoder) (a array, err error) {
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return a, errNoArray
	}
	a.start = int(d.InputOffset()) - 1
	var element json.RawMessage
	for d.More() {
		if err := d.Decode(&element); err != nil {
			return a, errNoArray
		}
		end := int(d.InputOffset())
		a.elements = append(a.elements, extent{end - len(element), end})
	}
	if _, err := d.Token(); err != nil {
		return a, errNoArray
	}
	a.end = int(d.InputOffset())
	return a, nil
}

// inElement reports whether a document is an array and one of its elements has something there: with a key, it is many operations
// none of which would be protected.
func (p *pointer) inElement(doc []byte) bool {
	if doc[skipSpace(doc, 0)] != '[' || !p.mayBeIn(doc) {
		return false
	}
	work := &workspace{}
	a, err := arrayPath(nil).find(doc, work)
	return err == nil && slices.ContainsFunc(a.elements, func(e extent) bool {
		found, ok := p.find(doc[e.start:e.end], work)
		return ok && string(found) != "null"
	})
}

// inSome reports whether a document of JSON, which has no single meaning, may have something there by one of its meanings. Of an
// array, no matter where.
func (p *pointer) inSome(doc []byte) (is bool) {
	start := skipSpace(doc, 0)
	if doc[start] == '[' || !p.mayBeIn(doc) {
		return p.mayBeIn(doc)
	}
	eachValue(doc, start, p.names, func(at extent) { is = is || string(doc[at.start:at.end]) != "null" })
	return is
}

// with returns the document with other elements in the array.
func (a array) with(doc []byte, elements ...[]byte) []byte {
	out := append([]byte{}, doc[:a.start]...)
	out = append(out, '[')
	out = append(out, bytes.Join(elements, []byte(","))...)
	out = append(out, ']')
	return append(out, doc[a.end:]...)
}

// wrap returns the document that is nothing but the array at the path, and where it is.
func (p arrayPath) wrap() (doc []byte, a array) {
	for _, name := range p {
		doc = append(append(append(doc, '{'), appendQuoted(nil, []byte(name))...), ':')
	}
	a.start = len(doc)
	doc = append(doc, '[', ']')
	a.end = len(doc)
	return append(doc, bytes.Repeat([]byte("}"), len(p))...), a
}
