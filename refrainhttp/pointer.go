package refrainhttp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// A pointer names a place in a JSON document (RFC 6901).
type pointer struct {
	text   string
	names  []string  // that it leads through
	tree   *selector // of all places that are found in one pass
	node   *selector // its own
	member []byte    // the last name in quotes, nil if it may be an index or there is none
}

func newPointer(text string) (*pointer, error) {
	names, err := pointerTokens(text)
	if err != nil {
		return nil, err
	}
	p := &pointer{text: text, names: names}
	return p, p.join(&selector{included: true})
}

// join has the pointer found in the passes of a tree.
func (p *pointer) join(tree *selector) error {
	node, err := tree.grow(p.text)
	if err != nil {
		return err
	}
	node.wanted = true
	p.tree, p.node = tree, node
	if name := []byte(node.name); len(name) > 2 && !isDigit(name[1]) {
		p.member = name
	}
	return nil
}

// pointerTokens returns the names that a pointer leads through.
func pointerTokens(text string) (tokens []string, err error) {
	switch {
	case text == "":
		return nil, nil
	case text[0] != '/':
		return nil, fmt.Errorf("%q is not a JSON pointer: it must start with a slash (RFC 6901)", text)
	}
	for token := range strings.SplitSeq(text[1:], "/") {
		if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(token), "~") {
			return nil, fmt.Errorf("%q is not a JSON pointer: a ~ must be written ~0 (RFC 6901)", text)
		}
		tokens = append(tokens, strings.NewReplacer("~1", "/", "~0", "~").Replace(token))
	}
	return tokens, nil
}

// find returns the canonical form of what is there, valid until work is used again. It reports false where there is nothing,
// and for a document without a single meaning: see canonicaliser.append.
func (p *pointer) find(doc []byte, work *workspace) ([]byte, bool) {
	b, ok := work.json.append(work.b[:0], doc, p.tree)
	work.b = b
	if !ok {
		return nil, false
	}
	return work.json.wanted(p.node)
}

// mayBeIn reports false if a document surely has nothing there, without reading it: the member's name is not in it, nor any
// escape that could stand for one.
func (p *pointer) mayBeIn(doc []byte) bool {
	return p.member == nil || bytes.Contains(doc, p.member) || bytes.IndexByte(doc, '\\') >= 0
}

// scalarText returns a canonical string or number as people write it. It reports false for anything else.
func scalarText(canonical []byte) (string, bool) {
	text, ok := scalar(canonical)
	return string(text), ok
}

// scalar is scalarText in memory that may be that of its argument.
func scalar(canonical []byte) ([]byte, bool) {
	if len(canonical) == 0 {
		return nil, false
	}
	switch c := canonical[0]; {
	case c == '"':
		if text := canonical[1 : len(canonical)-1]; bytes.IndexByte(text, '\\') < 0 {
			return text, true
		}
		var s string
		err := json.Unmarshal(canonical, &s)
		return []byte(s), err == nil
	case c == '-' || isDigit(c):
		return plainNumber(canonical), true
	}
	return nil, false
}

// plainNumber writes a number with an exponent without one, unless that would be long.
func plainNumber(number []byte) []byte {
	if bytes.IndexByte(number, 'e') < 0 {
		return number // nearly always
	}
	coefficient, exponent, _ := strings.Cut(string(number), "e")
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
		digits = "-" + digits
	}
	return []byte(digits)
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
