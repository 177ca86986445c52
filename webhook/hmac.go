package webhook

import (
	"crypto/sha1" //nolint:gosec // as HMAC, see SHA1
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strings"
)

// A Hash is the hash function of an HMAC.
type Hash string

// HMAC does not rest on what is broken of SHA-1, and some senders have nothing else.
const (
	SHA1   Hash = "sha1"
	SHA256 Hash = "sha256"
	SHA512 Hash = "sha512"
)

// HMAC says how a sender writes the HMAC of a request's body into a header.
type HMAC struct {
	Header   string   // the name of the header; required
	Hash     Hash     // if empty, SHA256
	Encoding Encoding // if empty, Hex
	Prefix   string   // what stands in front of the signature, such as "sha256="; without it the signature is refused
}

// check compiles the description. A sender that signs nothing but the body cannot tell an attempt from a replay.
func (m HMAC) check(keys [][]byte) (check, error) {
	newHash, err := m.newHash()
	if err != nil {
		return nil, err
	}
	if m.Encoding == "" {
		m.Encoding = Hex
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	sign := mac{hash: newHash, keys: keys}
	return func(r *http.Request, body []byte) error {
		line, err := single(r.Header, m.Header)
		if err != nil {
			return err
		}
		signature, err := m.parse(line, newHash().Size())
		if err != nil {
			return fmt.Errorf("%w: header %s: %w", ErrMalformed, m.Header, err)
		}
		if !sign.made([][]byte{signature}, body) {
			return fmt.Errorf("%w: header %s does not fit the body", ErrMismatch, m.Header)
		}
		return nil
	}, nil
}

func (m HMAC) parse(line string, size int) ([]byte, error) {
	encoded, ok := strings.CutPrefix(line, m.Prefix)
	if !ok {
		return nil, fmt.Errorf("it does not begin with %q", m.Prefix)
	}
	return m.Encoding.decode(encoded, size)
}

func (m HMAC) newHash() (func() hash.Hash, error) {
	switch m.Hash {
	case SHA1:
		return sha1.New, nil
	case SHA256, "":
		return sha256.New, nil
	case SHA512:
		return sha512.New, nil
	default:
		return nil, fmt.Errorf("the hash is %q; known are sha1, sha256 and sha512", m.Hash)
	}
}

func (m HMAC) validate() error {
	switch {
	case m.Header == "":
		return errors.New("it needs the name of the header that carries the signature")
	case strings.ContainsFunc(m.Header, notToken):
		return fmt.Errorf("%q is not the name of a header", m.Header)
	case m.Encoding != Hex && m.Encoding != Base64:
		return fmt.Errorf("the encoding is %q; known are hex and base64", m.Encoding)
	case !printable(m.Prefix):
		return errors.New("the prefix is not printable ASCII")
	}
	return nil
}

// notToken reports whether r cannot stand in the name of a header (RFC 9110 section 5.6.2).
func notToken(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}
