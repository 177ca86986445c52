package refrainhttp

import (
	"errors"
	"fmt"
	"strings"
)

// A charSet says what kinds of characters a key has.
type charSet uint8

const (
	unprintable charSet = 1 << iota // or not ASCII
	structural                      // of a structured field (RFC 9651)
	notOfUUID
	upperOfUUID
)

// charsOf looks at each byte of a key once. The bytes of keys are random, which makes bad branches.
func charsOf[T string | []byte](s T) (all charSet) {
	for i := range len(s) {
		all |= charSets[s[i]]
	}
	return all
}

// charSets says of every byte what it is.
var charSets = func() (sets [256]charSet) {
	for i := range sets {
		c := byte(i)
		if c < 0x20 || c > 0x7e {
			sets[i] |= unprintable
		}
		if strings.IndexByte(notBare, c) >= 0 {
			sets[i] |= structural
		}
		switch {
		case 'A' <= c && c <= 'F':
			sets[i] |= upperOfUUID
		case c != '-' && !isHex(c):
			sets[i] |= notOfUUID
		}
	}
	return sets
}()

// notBare is what no unquoted key has. A comma is what becomes of two header lines that a proxy joined (RFC 9110, section 5.3).
const notBare = `"\,`

// printable says what no key must contain.
func (c charSet) printable() error {
	if c&unprintable != 0 {
		return errors.New("the key has a character that is not printable ASCII")
	}
	return nil
}

// bare says what the unquoted key s, which has these characters, must not contain.
func (c charSet) bare(s string) error {
	if c&structural != 0 && c&unprintable == 0 {
		return fmt.Errorf("the key has a %q; a key with one must be a quoted string (RFC 9651)", s[strings.IndexAny(s, notBare)])
	}
	return c.printable()
}

// parseUUID returns a UUID, which has these characters, in lower case (RFC 9562, section 4).
func parseUUID(s string, chars charSet, seven bool) (string, error) {
	switch {
	case chars&notOfUUID != 0 || !hasDashesOfUUID(s):
		return "", errors.New("the key must be a UUID")
	case seven && (s[14] != '7' || strings.IndexByte("89abAB", s[19]) < 0):
		return "", errors.New("the key must be a UUID of version 7")
	case chars&upperOfUUID != 0:
		return strings.ToLower(s), nil
	}
	return s, nil
}

// hasDashesOfUUID reports whether a text is as long as a UUID and has its dashes and no others.
func hasDashesOfUUID(s string) bool {
	return len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' && strings.Count(s, "-") == 4
}

func isHex(c byte) bool { return isDigit(c) || c|0x20-'a' < 6 }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
