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
	value, chars := text, charsOf(text)
	var err error
	switch {
	case plain || k.format == Bare:
		err = chars.printable()
	case text[0] == '"':
		value, err = parseStringItem(text)
		chars = charsOf(value)
	case k.format == SFString:
		err = errors.New(`the key must be a quoted string (RFC 9651), as in "8e03978e"`)
	default:
		err = chars.bare(text)
	}
	if err != nil {
		return "", err
	}
	return k.check(value, chars)
}

// check returns the key in the form that is compared, if it has the length and the form that it must have.
func (k *keyReader) check(value string, chars charSet) (string, error) {
	switch {
	case value == "":
		return "", errors.New("the key is empty")
	case len(value) < k.minLength:
		return "", fmt.Errorf("the key has %d characters; at least %d are needed", len(value), k.minLength)
	case len(value) > k.maxLength:
		return "", fmt.Errorf("the key has %d characters; at most %d are allowed", len(value), k.maxLength)
	case k.format == UUID || k.format == UUID7:
		return parseUUID(value, chars, k.format == UUID7)
	}
	return value, nil
}
