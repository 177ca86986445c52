package refrainhttp

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A pointer names a place in a JSON document (RFC 6901).
type pointer struct {
	text  string
	only  *selector
	names []string // in canonical form
}

func newPointer(text string) (*pointer, error) {
	only, err := newSelector([]string{text}, nil)
	if err != nil {
		return nil, err
	}
	p := &pointer{text: text, only: only}
	for s := only; len(s.children) > 0; {
		for name, child := range s.children { // the only one
			p.names, s = append(p.names, name), child
		}
	}
	return p, nil
}

// find returns the canonical form of what is there, valid until work is used again. It reports false where there is nothing,
// and for a document without a single meaning: see canonicaliser.append.
func (p *pointer) find(doc []byte, work *workspace) ([]byte, bool) {
	b, ok := work.json.append(work.b[:0], doc, p.only)
	work.b = b
	if !ok {
		return nil, false
	}
	for _, name := range p.names {
		inner, ok := enter(b, name)
		if !ok {
			return nil, false
		}
		b = inner
	}
	return b, len(b) > 0
}

// enter returns the one member or element that a canonical form was reduced to.
func enter(b []byte, name string) ([]byte, bool) {
	if len(b) < 2 {
		return nil, false
	}
	inner := b[1 : len(b)-1]
	switch b[0] {
	case '[':
		return inner, len(inner) > 0
	case '{':
		if len(inner) > len(name) && string(inner[:len(name)]) == name && inner[len(name)] == ':' {
			return inner[len(name)+1:], true
		}
	}
	return nil, false
}

// scalarText returns a canonical string or number as people write it. It reports false for anything else.
func scalarText(canonical []byte) (string, bool) {
	if len(canonical) == 0 {
		return "", false
	}
	switch c := canonical[0]; {
	case c == '"':
		if text := canonical[1 : len(canonical)-1]; bytes.IndexByte(text, '\\') < 0 && utf8.Valid(text) {
			return string(text), true
		}
		var s string
		return s, json.Unmarshal(canonical, &s) == nil
	case c == '-' || isDigit(c):
		return plainNumber(string(canonical)), true
	}
	return "", false
}

// plainNumber writes a number with an exponent without one, unless that would be long.
func plainNumber(number string) string {
	coefficient, exponent, _ := strings.Cut(number, "e")
	digits, negative := strings.CutPrefix(coefficient, "-")
	power, err := strconv.Atoi(exponent)
	if err != nil || max(power, -power) > maxPower || strings.Contains(digits, ".") {
		return number
	}
	if power >= 0 {
		digits += strings.Repeat("0", power)
	} else {
		digits = strings.Repeat("0", max(0, 1-power-len(digits))) + digits
		point := len(digits) + power
		digits = digits[:point] + "." + digits[point:]
	}
	if negative {
		return "-" + digits
	}
	return digits
}

// maxPower is the largest power of ten that plainNumber writes out.
const maxPower = 30

// isThere reports whether a canonical value is more than nothing: neither null, false, zero nor empty.
func isThere(canonical []byte) bool {
	switch string(canonical) {
	case "", "null", "false", "0", `""`, "[]", "{}":
		return false
	}
	return true
}
