package refrainhttp

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// What follows finds values in a document of JSON without reading them. It is quick, and sure of no more than the quotes, the
// brackets and what is between them on the way to a value.

// eachValue calls do for every value in the one at i that the names lead to, and returns where that one ends. It returns -1 for
// what is no JSON, maybe after it called do.
func eachValue(doc []byte, i int, names []string, do func(extent)) int {
	if i >= len(doc) || doc[i] != '{' && doc[i] != '[' {
		return skipValue(doc, i)
	}
	object, end := doc[i] == '{', doc[i]+2 // in ASCII
	if i = skipSpace(doc, i+1); i < len(doc) && doc[i] == end {
		return i + 1
	}
	for n := 0; ; n++ {
		leads := !object && strconv.Itoa(n) == names[0]
		if object {
			leads, i = readName(doc, i, names[0])
		}
		start := i
		if leads && len(names) > 1 {
			i = eachValue(doc, i, names[1:], do)
		} else if i = skipValue(doc, i); leads && i >= 0 {
			do(extent{start, i})
		}
		if i = skipSpace(doc, i); i < 0 || i >= len(doc) {
			return -1
		}
		switch doc[i] {
		case end:
			return i + 1
		case ',':
			i = skipSpace(doc, i+1)
		default:
			return -1
		}
	}
}

// readName reads the name of a member and the colon, and reports whether it is that name. It returns where the value begins.
func readName(doc []byte, i int, name string) (is bool, value int) {
	end := skipString(doc, i)
	colon := skipSpace(doc, end)
	if end < 0 || colon >= len(doc) || doc[colon] != ':' {
		return false, -1
	}
	return spells(doc[i:end], name), skipSpace(doc, colon+1)
}

// spells reports whether a string of JSON is the text.
func spells(quoted []byte, text string) bool {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1:len(quoted)-1]) == text
	}
	var s string
	return json.Unmarshal(quoted, &s) == nil && s == text
}

func skipSpace(doc []byte, i int) int {
	for i >= 0 && i < len(doc) && (doc[i] == ' ' || doc[i] == '\n' || doc[i] == '\r' || doc[i] == '\t') {
		i++
	}
	return i
}

// skipString returns where the string that begins at i ends.
func skipString(doc []byte, i int) int {
	if i < 0 || i >= len(doc) || doc[i] != '"' {
		return -1
	}
	for i++; i < len(doc); i++ {
		switch doc[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

// skipValue returns where the value that begins at i ends.
func skipValue(doc []byte, i int) int {
	if i < 0 || i >= len(doc) {
		return -1
	}
	switch doc[i] {
	case '"':
		return skipString(doc, i)
	case '{', '[':
		return skipBrackets(doc, i)
	}
	start := i
	for i < len(doc) && (doc[i]|0x20-'a' < 26 || isDigit(doc[i]) || strings.IndexByte("+-.", doc[i]) >= 0) {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

func skipBrackets(doc []byte, i int) int {
	for depth := 0; i < len(doc); i++ {
		switch doc[i] {
		case '"':
			if i = skipString(doc, i) - 1; i < 0 {
				return -1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}
