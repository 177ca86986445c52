// Package principal writes down who a request comes from, so that two callers are never taken for one.
package principal

import "encoding/binary"

// Of returns the principal that parts name according to source, such as "jwt". Every part is preceded by its length (a
// uvarint), so no choice of delimiters makes two lists of parts the same string. It is an opaque name: it is compared and
// hashed, not shown. A source in lower case is never a header's canonical name.
func Of(source string, parts ...string) string {
	var room [256]byte
	b := appendPart(room[:0], source)
	for _, part := range parts {
		b = appendPart(b, part)
	}
	return string(b)
}

func appendPart(b []byte, part string) []byte {
	b = binary.AppendUvarint(b, uint64(len(part)))
	return append(b, part...)
}
