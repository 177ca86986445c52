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
	value   string
	raw     string
	number  uint64 // of a sequence
	derived bool   // the client sent none: it is the request's fingerprint
}

// source says whose the key is, if not the client's.
func (k clientKey) source() string {
	if k.derived {
		return "derived"
	}
	return ""
}

// A keyReader finds the key of a request.
type keyReader struct {
	sources   []keySource
	headers   []string // the names of those that are header fields
	format    Format
	required  bool
	minLength int
	maxLength int
	inBody    bool // a source is in the body
}

func newKeyReader(k Key) (keyReader, error) {
	r := keyReader{format: k.Format, required: k.Required, minLength: k.MinLength, maxLength: k.MaxLength}
	switch k.Format {
	case Lenient, SFString, UUID, UUID7, Bare:
	default:
		return r, fmt.Errorf("format: %q is none of lenient, sf-string, uuid, uuid7, bare", k.Format)
	}
	if k.MaxLength < 1 || k.MaxLength > maxKeyLength {
		return r, fmt.Errorf("max length is %d; it must be from 1 to %d", k.MaxLength, maxKeyLength)
	}
	if k.MinLength < 1 || k.MinLength > k.MaxLength {
		return r, fmt.Errorf("min length is %d; it must be from 1 to the max length, %d", k.MinLength, k.MaxLength)
	}
	if len(k.From) == 0 {
		return r, errors.New("from: the list is empty")
	}
	for _, from := range k.From {
		s, err := newKeySource(from)
		if err != nil {
			return r, fmt.Errorf("from: %w", err)
		}
		r.sources = append(r.sources, s)
		r.headers = append(r.headers, s.headers...)
		r.inBody = r.inBody || s.inBody()
	}
	return r, nil
}

// errNoKey says that a request has no key.
var errNoKey = errors.New("the request has no key")

// read returns the request's key; body is what was read of its body, and work what may be used to look into it. Any other
// error than errNoKey tells what is wrong with the key, in words for the client.
func (k *keyReader) read(r *http.Request, body []byte, work *workspace) (clientKey, error) {
	for i := range k.sources {
		s := &k.sources[i]
		raw, err := s.find(r, body, work)
		switch {
		case errors.Is(err, errNoKey):
			continue
		case err != nil:
			return clientKey{}, fmt.Errorf("%s: %w", s.name, err)
		case s.scheme == fromTuple:
			return clientKey{value: raw}, nil // of several fields: there is no one way that the client wrote it
		}
		if s.scheme == fromSequence {
			n, err := parseNumber(raw)
			if err != nil {
				return clientKey{}, fmt.Errorf("%s: %w", s.name, err)
			}
			return clientKey{value: sequenceKey(n), raw: raw, number: n}, nil
		}
		value, err := k.parse(raw, s.scheme != fromHeader)
		if err != nil {
			return clientKey{}, fmt.Errorf("%s: %w", s.name, err)
		}
		return clientKey{value: value, raw: raw}, nil
	}
	return clientKey{}, errNoKey
}

// parse returns the key that a text holds. One that is plain is never quoted.
func (k *keyReader) parse(text string, plain bool) (string, error) {
	text = strings.Trim(text, " ")
	if text == "" {
		return "", errors.New("the key is empty")
	}
	value := text
	var err error
	switch {
	case plain || k.format == Bare:
		err = checkPrintable(text)
	case text[0] == '"':
		value, err = parseStringItem(text)
	case k.format == SFString:
		err = errors.New(`the key must be a quoted string (RFC 9651), as in "8e03978e"`)
	default:
		err = checkBare(text)
	}
	if err != nil {
		return "", err
	}
	return k.check(value)
}

// check returns the key in the form that is compared, if it has the length and the form that it must have.
func (k *keyReader) check(value string) (string, error) {
	switch {
	case value == "":
		return "", errors.New("the key is empty")
	case len(value) < k.minLength:
		return "", fmt.Errorf("the key has %d characters; at least %d are needed", len(value), k.minLength)
	case len(value) > k.maxLength:
		return "", fmt.Errorf("the key has %d characters; at most %d are allowed", len(value), k.maxLength)
	case k.format == UUID || k.format == UUID7:
		return parseUUID(value, k.format == UUID7)
	}
	return value, nil
}

// checkPrintable says what no key must contain.
func checkPrintable(s string) error {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return errors.New("the key has a character that is not printable ASCII")
		}
	}
	return nil
}

// checkBare says what an unquoted key must not contain. A comma is what becomes of two header lines that a proxy joined
// (RFC 9110, section 5.3).
func checkBare(s string) error {
	if err := checkPrintable(s); err != nil {
		return err
	}
	if i := strings.IndexAny(s, `"\,`); i >= 0 {
		return fmt.Errorf("the key has a %q; a key with one must be a quoted string (RFC 9651)", s[i])
	}
	return nil
}

// parseUUID returns a UUID in lower case (RFC 9562, section 4).
func parseUUID(s string, seven bool) (string, error) {
	valid, upper := lookAtUUID(s)
	switch {
	case !valid:
		return "", errors.New("the key must be a UUID")
	case seven && (s[14] != '7' || strings.IndexByte("89abAB", s[19]) < 0):
		return "", errors.New("the key must be a UUID of version 7")
	case upper:
		return strings.ToLower(s), nil
	}
	return s, nil
}

// lookAtUUID reports whether a text is a UUID, and whether it has letters in upper case.
func lookAtUUID(s string) (valid, upper bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' || strings.Count(s, "-") != 4 {
		return false, false
	}
	var kinds uint8
	for i := range len(s) {
		kinds |= uuidKinds[s[i]]
	}
	return kinds&notInUUID == 0, kinds&upperInUUID != 0
}

// uuidKinds says of every byte what it would be in a UUID: random digits and letters make bad branches.
var uuidKinds = func() (kinds [256]uint8) {
	for c := range kinds {
		switch c := byte(c); {
		case 'A' <= c && c <= 'F':
			kinds[c] = upperInUUID
		case c != '-' && !isHex(c):
			kinds[c] = notInUUID
		}
	}
	return kinds
}()

const (
	notInUUID = 1 << iota
	upperInUUID
)

func isHex(c byte) bool { return isDigit(c) || c|0x20-'a' < 6 }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
