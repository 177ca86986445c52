package refrainhttp

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// A clientKey is an idempotency key: what it is, and how the client wrote it. The zero clientKey is that of a request
// without one.
type clientKey struct {
	value string
	raw   string
}

// A keyReader finds the key of a request.
type keyReader struct {
	headers   []string
	format    Format
	required  bool
	maxLength int
}

func newKeyReader(k Key) (keyReader, error) {
	r := keyReader{format: k.Format, required: k.Required, maxLength: k.MaxLength}
	switch k.Format {
	case Lenient, SFString, UUID, UUID7:
	default:
		return r, fmt.Errorf("format: %q is none of lenient, sf-string, uuid, uuid7", k.Format)
	}
	if k.MaxLength < 1 || k.MaxLength > maxKeyLength {
		return r, fmt.Errorf("max length is %d; it must be from 1 to %d", k.MaxLength, maxKeyLength)
	}
	if len(k.Headers) == 0 {
		return r, errors.New("headers: the list is empty")
	}
	var err error
	if r.headers, err = canonicalNames(k.Headers); err != nil {
		return r, fmt.Errorf("headers: %w", err)
	}
	return r, nil
}

// errNoKey says that a request has no key.
var errNoKey = errors.New("the request has no key")

// read returns the request's key. Any other error than errNoKey tells what is wrong with it, in words for the client.
func (k *keyReader) read(h http.Header) (clientKey, error) {
	for _, name := range k.headers {
		switch lines := h[name]; len(lines) {
		case 0:
		case 1:
			value, err := k.parse(lines[0])
			if err != nil {
				return clientKey{}, fmt.Errorf("%s: %w", name, err)
			}
			return clientKey{value: value, raw: lines[0]}, nil
		default:
			return clientKey{}, fmt.Errorf("%s: the request has %d of these header lines; send exactly one", name, len(lines))
		}
	}
	return clientKey{}, errNoKey
}

// parse returns the key that a header line holds.
func (k *keyReader) parse(line string) (string, error) {
	line = strings.Trim(line, " ")
	if line == "" {
		return "", errors.New("the key is empty")
	}
	value := line
	var err error
	switch {
	case line[0] == '"':
		value, err = parseStringItem(line)
	case k.format == SFString:
		err = errors.New(`the key must be a quoted string (RFC 9651), as in "8e03978e"`)
	default:
		err = checkBare(line)
	}
	if err != nil {
		return "", err
	}
	switch {
	case value == "":
		return "", errors.New("the key is empty")
	case len(value) > k.maxLength:
		return "", fmt.Errorf("the key has %d characters; at most %d are allowed", len(value), k.maxLength)
	case k.format == UUID || k.format == UUID7:
		return parseUUID(value, k.format == UUID7)
	}
	return value, nil
}

// checkBare says what an unquoted key must not contain. A comma is what becomes of two header lines that a proxy joined
// (RFC 9110, section 5.3).
func checkBare(s string) error {
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20 || c > 0x7e:
			return errors.New("the key has a character that is not printable ASCII")
		case c == '"' || c == '\\' || c == ',':
			return fmt.Errorf("the key has a %q; a key with one must be a quoted string (RFC 9651)", c)
		}
	}
	return nil
}

// parseUUID returns a UUID in lower case (RFC 9562, section 4).
func parseUUID(s string, seven bool) (string, error) {
	if len(s) != 36 {
		return "", errors.New("the key must be a UUID")
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return "", errors.New("the key must be a UUID")
			}
		case !isHex(c):
			return "", errors.New("the key must be a UUID")
		}
	}
	if seven && (s[14] != '7' || !strings.ContainsRune("89abAB", rune(s[19]))) {
		return "", errors.New("the key must be a UUID of version 7")
	}
	return strings.ToLower(s), nil
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
