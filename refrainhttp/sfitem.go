package refrainhttp

import (
	"errors"
	"strings"
)

var errNotString = errors.New("the key is not a well-formed quoted string (RFC 9651)")

// parseStringItem returns the String of an RFC 9651 Item. Parameters must be well-formed and are ignored: the draft
// defines none.
func parseStringItem(s string) (string, error) {
	value, rest, ok := parseString(s)
	for ok && strings.HasPrefix(rest, ";") {
		rest, ok = skipParameter(strings.TrimLeft(rest[1:], " "))
	}
	if !ok || strings.Trim(rest, " ") != "" {
		return "", errNotString
	}
	return value, nil
}

// parseString parses a String (section 4.2.5) at the start of s.
func parseString(s string) (value, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", "", false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[1:i], s[i+1:], true
		case c == '\\':
			return parseEscaped(s, i)
		case c < 0x20 || c > 0x7e:
			return "", "", false
		}
	}
	return "", "", false
}

// parseEscaped is parseString for one whose first backslash is at i.
func parseEscaped(s string, i int) (value, rest string, ok bool) {
	b := append(make([]byte, 0, len(s)), s[1:i]...)
	for ; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			return string(b), s[i+1:], true
		case c == '\\':
			i++
			if i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", "", false
			}
			c = s[i]
		case c < 0x20 || c > 0x7e:
			return "", "", false
		}
		b = append(b, c)
	}
	return "", "", false
}

// skipParameter skips a parameter (section 4.2.3.2) without its semicolon.
func skipParameter(s string) (rest string, ok bool) {
	if s == "" || s[0] != '*' && !isLower(s[0]) {
		return "", false
	}
	n := span(s, func(c byte) bool { return isLower(c) || isDigit(c) || strings.IndexByte("_-.*", c) >= 0 })
	if s = s[n:]; !strings.HasPrefix(s, "=") {
		return s, true
	}
	return skipBareItem(s[1:])
}

// skipBareItem skips a value (section 4.2.3.1).
func skipBareItem(s string) (rest string, ok bool) {
	if s == "" {
		return "", false
	}
	switch c := s[0]; {
	case c == '"':
		_, rest, ok = parseString(s)
		return rest, ok
	case c == '-' || isDigit(c):
		return skipNumber(s, true)
	case c == '@':
		return skipNumber(s[1:], false)
	case c == '?':
		if len(s) < 2 || s[1] != '0' && s[1] != '1' {
			return "", false
		}
		return s[2:], true
	case c == ':':
		n := span(s[1:], func(c byte) bool { return isAlpha(c) || isDigit(c) || strings.IndexByte("+/=", c) >= 0 })
		return strings.CutPrefix(s[1+n:], ":")
	case c == '%':
		return skipDisplayString(s[1:])
	case c == '*' || isAlpha(c):
		return s[span(s, func(c byte) bool { return isTokenByte(c) || c == ':' || c == '/' }):], true
	}
	return "", false
}

// skipNumber skips an Integer or, if allowed, a Decimal (section 4.2.4).
func skipNumber(s string, decimal bool) (rest string, ok bool) {
	s = strings.TrimPrefix(s, "-")
	n := span(s, isDigit)
	if !decimal || n == len(s) || s[n] != '.' {
		return s[n:], n >= 1 && n <= 15
	}
	fraction := span(s[n+1:], isDigit)
	return s[n+1+fraction:], n >= 1 && n <= 12 && fraction >= 1 && fraction <= 3
}

// skipDisplayString skips a Display String (section 4.2.10) without its percent sign.
func skipDisplayString(s string) (rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		return "", false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[i+1:], true
		case c < 0x20 || c > 0x7e:
			return "", false
		case c == '%':
			if i+2 >= len(s) || !isLowerHex(s[i+1]) || !isLowerHex(s[i+2]) {
				return "", false
			}
			i += 2
		}
	}
	return "", false
}

func span(s string, in func(byte) bool) int {
	for i := range len(s) {
		if !in(s[i]) {
			return i
		}
	}
	return len(s)
}

func isLower(c byte) bool    { return 'a' <= c && c <= 'z' }
func isAlpha(c byte) bool    { return isLower(c) || 'A' <= c && c <= 'Z' }
func isLowerHex(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' }

// isTokenByte reports whether c may be in a token (RFC 9110, section 5.6.2).
func isTokenByte(c byte) bool {
	return isAlpha(c) || isDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isToken(s string) bool { return s != "" && span(s, isTokenByte) == len(s) }
