package refrainhttp

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// maxDepth bounds the nesting of JSON that is compared as JSON.
const maxDepth = 128

// A canonicaliser reads JSON and writes its canonical form in one pass; objects whose members are not in order are put
// in order when they end. It can be used again, for one text at a time.
type canonicaliser struct {
	in      []byte
	at      int
	out     []byte
	members []member // of all open objects, the innermost last
	moved   []byte   // room to sort in
	found   []finding
	kept    []byte // what was found
}

// A finding is what is at a wanted place: where its canonical form is kept, and where it is in the text.
type finding struct {
	node       *selector
	start, end int
	text       extent
}

// append appends the canonical form of a JSON text (RFC 8259) to b: white space is gone, members are sorted by name,
// strings have one spelling, and numbers are exact decimals. Two texts have the same form exactly when they mean the
// same.
//
// It reports false for what has no single meaning, which is then compared byte by byte: anything that is not JSON, not
// UTF-8, or nested deeper than 128; duplicate members; lone surrogates; exponents beyond 18 digits.
//
// If fields is not nil, only what it selects is appended, and what it wants can be had from wanted until the next text is read.
func (c *canonicaliser) append(b, text []byte, fields *selector) ([]byte, bool) {
	if !utf8.Valid(text) {
		return b, false
	}
	c.in, c.at, c.out, c.members = text, 0, b, c.members[:0]
	c.found, c.kept = c.found[:0], c.kept[:0]
	c.space()
	from := c.at
	ok := c.value(selection{node: fields, all: fields == nil || fields.included}, 0)
	c.keep(fields, len(b), from)
	c.space()
	ok = ok && c.at == len(c.in)
	b, c.in, c.out = c.out, nil, nil
	return b, ok
}

// wanted returns what the last text has at a wanted place, in canonical form.
func (c *canonicaliser) wanted(node *selector) ([]byte, bool) {
	if f := c.findingAt(node); f != nil {
		return c.kept[f.start:f.end], true
	}
	return nil, false
}

// place returns where the last text has what wanted returns.
func (c *canonicaliser) place(node *selector) (extent, bool) {
	if f := c.findingAt(node); f != nil {
		return f.text, true
	}
	return extent{}, false
}

func (c *canonicaliser) findingAt(node *selector) *finding {
	for i := range c.found {
		if c.found[i].node == node {
			return &c.found[i]
		}
	}
	return nil
}

// keep takes the value that starts there in the output and from there in the text, if it is at a wanted place.
func (c *canonicaliser) keep(node *selector, start, from int) {
	if node != nil && node.wanted {
		at := len(c.kept)
		c.kept = append(c.kept, c.out[start:]...)
		c.found = append(c.found, finding{node, at, len(c.kept), extent{from, c.at}})
	}
}

// A member is where a member of an object is in the output.
type member struct {
	start, colon, end int
	counts            bool
}

func (c *canonicaliser) space() {
	for c.at < len(c.in) {
		switch c.in[c.at] {
		case ' ', '\n', '\r', '\t':
			c.at++
		default:
			return
		}
	}
}

// next skips white space, a byte, and white space again, and reports whether the byte was there.
func (c *canonicaliser) next(want byte) bool {
	c.space()
	if c.at == len(c.in) || c.in[c.at] != want {
		return false
	}
	c.at++
	c.space()
	return true
}

func (c *canonicaliser) value(sel selection, depth int) bool {
	if c.at == len(c.in) || depth > maxDepth {
		return false
	}
	switch c.in[c.at] {
	case '{':
		return c.object(sel, depth)
	case '[':
		return c.array(sel, depth)
	case '"':
		return c.string()
	case 't':
		return c.literal("true")
	case 'f':
		return c.literal("false")
	case 'n':
		return c.literal("null")
	}
	return c.number()
}

func (c *canonicaliser) literal(s string) bool {
	if len(c.in)-c.at < len(s) || string(c.in[c.at:c.at+len(s)]) != s {
		return false
	}
	c.at += len(s)
	c.out = append(c.out, s...)
	return true
}

func (c *canonicaliser) array(sel selection, depth int) bool {
	c.out = append(c.out, '[')
	c.next('[')
	if c.next(']') {
		c.out = append(c.out, ']')
		return true
	}
	first := true
	for i := 0; ; i++ {
		start := len(c.out)
		if !first {
			c.out = append(c.out, ',')
		}
		inner, counts := sel.element(i)
		value, from := len(c.out), c.at
		if !c.value(inner, depth+1) {
			return false
		}
		c.keep(inner.node, value, from)
		if counts {
			first = false
		} else {
			c.out = c.out[:start]
		}
		if c.next(']') {
			c.out = append(c.out, ']')
			return true
		}
		if !c.next(',') {
			return false
		}
	}
}

func (c *canonicaliser) object(sel selection, depth int) bool {
	open := len(c.members)
	c.out = append(c.out, '{')
	c.next('{')
	if c.next('}') {
		c.out = append(c.out, '}')
		return true
	}
	for {
		if !c.member(sel, depth) {
			return false
		}
		if c.next('}') {
			break
		}
		if !c.next(',') {
			return false
		}
	}
	if !c.sort(c.members[open:]) {
		return false
	}
	c.out = append(c.drop(c.members[open:], sel), '}')
	c.members = c.members[:open]
	return true
}

// member reads one member and writes it with a comma after it, which makes members easy to move.
func (c *canonicaliser) member(sel selection, depth int) bool {
	m := member{start: len(c.out), counts: sel.all}
	if c.at == len(c.in) || c.in[c.at] != '"' || !c.string() || !c.next(':') {
		return false
	}
	m.colon = len(c.out)
	inner := selection{all: sel.all}
	if name := c.name(m); sel.node.mayName(name) { // seldom, and a call for each member costs something
		inner, m.counts = sel.member(name)
	}
	c.out = append(c.out, ':')
	from := c.at
	if !c.value(inner, depth+1) {
		return false
	}
	c.keep(inner.node, m.colon+1, from)
	c.out = append(c.out, ',')
	m.end = len(c.out)
	c.members = append(c.members, m)
	return true
}

// sort puts the last object's members in order and reports whether their names are distinct.
func (c *canonicaliser) sort(members []member) bool {
	inOrder := true
	for i := 1; i < len(members); i++ {
		if bytes.Compare(c.name(members[i-1]), c.name(members[i])) >= 0 {
			inOrder = false
			break
		}
	}
	if inOrder {
		return true
	}
	start := members[0].start
	c.order(members)
	for i := 1; i < len(members); i++ {
		if bytes.Equal(c.name(members[i-1]), c.name(members[i])) {
			return false
		}
	}
	c.moved = append(c.moved[:0], c.out[start:]...)
	c.out = c.out[:start]
	for i, m := range members {
		at := len(c.out)
		c.out = append(c.out, c.moved[m.start-start:m.end-start]...)
		members[i] = member{start: at, colon: at + m.colon - m.start, end: len(c.out), counts: m.counts}
	}
	return true
}

// order sorts members by name. Most objects are small.
func (c *canonicaliser) order(members []member) {
	if len(members) > 16 {
		slices.SortFunc(members, func(a, b member) int { return bytes.Compare(c.name(a), c.name(b)) })
		return
	}
	for i := 1; i < len(members); i++ {
		for j := i; j > 0 && bytes.Compare(c.name(members[j-1]), c.name(members[j])) > 0; j-- {
			members[j-1], members[j] = members[j], members[j-1]
		}
	}
}

// drop removes the last object's members that do not count, and the comma after the last that does.
func (c *canonicaliser) drop(members []member, sel selection) []byte {
	if sel.node == nil && !sel.all {
		return c.out[:members[0].start] // a part that does not count as a whole: its owner drops it
	}
	first := slices.IndexFunc(members, func(m member) bool { return !m.counts })
	if first < 0 {
		return c.out[:len(c.out)-1]
	}
	out := c.out[:members[first].start]
	for _, m := range members[first:] {
		if m.counts {
			out = append(out, c.out[m.start:m.end]...)
		}
	}
	return bytes.TrimSuffix(out, []byte(","))
}

func (c *canonicaliser) name(m member) []byte { return c.out[m.start:m.colon] }
