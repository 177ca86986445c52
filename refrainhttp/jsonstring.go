package refrainhttp

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// string reads a string and writes it with the fewest escapes: the quote, the backslash and control characters.
func (c *canonicaliser) string() bool {
	text := c.in[c.at:]
	i := 1
	for i+8 <= len(text) && !special(binary.LittleEndian.Uint64(text[i:])) {
		i += 8
	}
	for ; i < len(text); i++ {
		switch b := text[i]; {
		case b == '"':
			c.out = append(c.out, text[:i+1]...)
			c.at += i + 1
			return true
		case b == '\\':
			c.out = append(c.out, text[:i]...)
			c.at += i
			return c.escaped()
		case b < 0x20:
			return false
		}
	}
	return false
}

// special reports whether a quote, a backslash or a control character is among eight bytes. For each it looks for a
// zero byte, or one that is too small, in all of them at once.
func special(w uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, slash := w^ones*'"', w^ones*'\\'
	return ((quote-ones)&^quote|(slash-ones)&^slash|(w-ones*0x20)&^w)&tops != 0
}

// escaped reads the rest of a string, from its first backslash.
func (c *canonicaliser) escaped() bool {
	for c.at < len(c.in) {
		b := c.in[c.at]
		c.at++
		switch {
		case b == '"':
			c.out = append(c.out, '"')
			return true
		case b < 0x20:
			return false
		case b != '\\':
			c.out = append(c.out, b)
			continue
		}
		r, ok := c.escape()
		if !ok {
			return false
		}
		c.out = appendEscaped(c.out, r)
	}
	return false
}

// escape reads one escape without its backslash.
func (c *canonicaliser) escape() (r rune, ok bool) {
	if c.at == len(c.in) {
		return 0, false
	}
	b := c.in[c.at]
	c.at++
	switch b {
	case '"', '\\', '/':
		return rune(b), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		return c.unicode()
	}
	return 0, false
}

// unicode reads the four digits of an escape, and the second half of a surrogate pair. A lone surrogate is no
// character.
func (c *canonicaliser) unicode() (rune, bool) {
	r, ok := c.fourHex()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	if len(c.in)-c.at < 6 || c.in[c.at] != '\\' || c.in[c.at+1] != 'u' {
		return 0, false
	}
	c.at += 2
	low, ok := c.fourHex()
	r = utf16.DecodeRune(r, low)
	return r, ok && r != utf8.RuneError
}

func (c *canonicaliser) fourHex() (rune, bool) {
	if len(c.in)-c.at < 4 {
		return 0, false
	}
	var r rune
	for _, b := range c.in[c.at : c.at+4] {
		if !isHex(b) {
			return 0, false
		}
		r = r<<4 | rune(unhex(b))
	}
	c.at += 4
	return r, true
}

// appendQuoted appends the canonical form of a string that is not JSON yet.
func appendQuoted(b, s []byte) []byte {
	b = append(b, '"')
	for _, r := range string(s) {
		b = appendEscaped(b, r)
	}
	return append(b, '"')
}

// appendEscaped appends a character of a string.
func appendEscaped(b []byte, r rune) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(b, '\\', byte(r))
	case r < 0x20:
		const hex = "0123456789abcdef"
		return append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
	}
	return utf8.AppendRune(b, r)
}
