package refrainhttp

import (
	"bytes"
	"encoding/binary"
)

// appendCanonicalForm appends the pairs of an application/x-www-form-urlencoded body, decoded, in their order: two
// bodies are the same when they differ only in how bytes are percent-encoded. The order of names counts, because
// servers differ in what they make of a[]=1&a=2. Only the fields that are selected count. It reports false when the body is
// not well-formed.
func appendCanonicalForm(b, body []byte, fields *selector) ([]byte, bool) {
	for more := len(body) > 0; more; {
		var pair []byte
		pair, body, more = bytes.Cut(body, []byte("&"))
		name, value, hasValue := bytes.Cut(pair, []byte("="))
		start := len(b)
		var ok bool
		if b, ok = appendUnescaped(b, name); !ok {
			return b, false
		}
		counts := fields == nil || fields.selects(string(b[start+lengthSize:]))
		if hasValue {
			b, ok = appendUnescaped(append(b, 1), value)
		} else {
			b = append(b, 0)
		}
		if !ok {
			return b, false
		}
		if !counts {
			b = b[:start]
		}
	}
	return b, true
}

// lengthSize is how many bytes the length in front of a text takes.
const lengthSize = 4

// appendUnescaped appends the decoded bytes with their length in front.
func appendUnescaped(b, s []byte) ([]byte, bool) {
	head := len(b)
	b = append(b, 0, 0, 0, 0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			b = append(b, ' ')
		case '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return b, false
			}
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			b = append(b, c)
		}
	}
	binary.BigEndian.PutUint32(b[head:], uint32(len(b)-head-lengthSize))
	return b, true
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
