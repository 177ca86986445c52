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
	built   []byte // in place of value: one that is no piece of the header, in the exchange's workspace
	raw     string // as the client wrote it, if not as it was built
	number  uint64 // of a sequence
	joined  bool   // of several fields: there is no one way that the client wrote it
	derived bool   // the client sent none: it is the request's fingerprint
}

// none reports whether it is that of a request without one.
func (k *clientKey) none() bool { return k.value == "" && len(k.built) == 0 }

// written returns the key as its client wrote it.
func (k *clientKey) written() string {
	if k.raw == "" && !k.joined {
		return string(k.built)
	}
	return k.raw
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

// pointers returns those of the sources in a body of JSON.
func (k *keyReader) pointers() (all []*pointer) {
	for i := range k.sources {
		all = append(all, k.sources[i].pointers()...)
	}
	return all
}

// errNoKey says that a request has no key where one was looked for.
var errNoKey = errors.New("the request has no key")

// read returns the request's key, if it has one; body is what was read of its body, and work what may be used to look into it.
// The error tells what is wrong with the key, in words for the client.
func (k *keyReader) read(r *http.Request, body []byte, work *workspace) (clientKey, error) {
	for i := range k.sources {
		s := &k.sources[i]
		key, err := k.readFrom(s, r, body, work)
		switch {
		case err == nil:
			return key, nil
		case !errors.Is(err, errNoKey):
			return clientKey{}, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return clientKey{}, nil
}

func (k *keyReader) readFrom(s *keySource, r *http.Request, body []byte, work *workspace) (key clientKey, err error) {
	switch s.scheme {
	case fromTuple:
		key.joined = true
		key.built, err = s.join(r, body, work)
		return key, err
	case fromBody:
		text, err := s.textIn(body, work)
		if err != nil {
			return key, err
		}
		return k.take(text, work)
	}
	if key.raw, err = s.find(r, body); err != nil {
		return key, err
	}
	if s.scheme == fromSequence {
		key.number, err = parseNumber(key.raw)
		work.key = appendNumber(work.key[:0], key.number)
		key.built = work.key
		return key, err
	}
	key.value, err = k.parse(key.raw, s.scheme != fromHeader)
	return key, err
}

// take returns the key that a body has.
func (k *keyReader) take(text []byte, work *workspace) (key clientKey, err error) {
	text = trim(text)
	if k.format == UUID || k.format == UUID7 {
		key.raw = string(text)
		key.value, err = k.parse(key.raw, true)
		return key, err
	}
	if err = k.fits(len(text)); err == nil {
		err = charsOf(text).printable()
	}
	work.key = append(work.key[:0], text...)
	key.built = work.key
	return key, err
}

// parse returns the key that a text holds. One that is plain is never quoted.
func (k *keyReader) parse(text string, plain bool) (string, error) {
	text = strings.Trim(text, " ")
	if text == "" {
		return "", errEmptyKey
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
	if err := k.fits(len(value)); err != nil {
		return "", err
	}
	if k.format == UUID || k.format == UUID7 {
		return parseUUID(value, chars, k.format == UUID7)
	}
	return value, nil
}

var errEmptyKey = errors.New("the key is empty")

// fits says what is wrong with the length of a key.
func (k *keyReader) fits(n int) error {
	switch {
	case n == 0:
		return errEmptyKey
	case n < k.minLength:
		return fmt.Errorf("the key has %d characters; at least %d are needed", n, k.minLength)
	case n > k.maxLength:
		return fmt.Errorf("the key has %d characters; at most %d are allowed", n, k.maxLength)
	}
	return nil
}
