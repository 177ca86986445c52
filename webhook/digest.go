package webhook

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// A mac makes signatures with each of the keys.
type mac struct {
	hash func() hash.Hash
	keys [][]byte
}

// made reports whether one of the keys makes one of the signatures from the message, whose parts are joined without a
// delimiter. Each comparison takes the same time wherever the two differ.
func (m mac) made(signatures [][]byte, message ...[]byte) bool {
	for _, key := range m.keys {
		h := hmac.New(m.hash, key)
		for _, part := range message {
			h.Write(part)
		}
		want := h.Sum(nil)
		for _, s := range signatures {
			if hmac.Equal(s, want) {
				return true
			}
		}
	}
	return false
}

// An Encoding is how a signature is written.
type Encoding string

// Hexadecimal digits in lower case, and base64 with padding (RFC 4648 section 4).
const (
	Hex    Encoding = "hex"
	Base64 Encoding = "base64"
)

// decode returns the size bytes that s stands for. There is one way to write them; what else decodes to the same bytes is
// refused.
func (e Encoding) decode(s string, size int) ([]byte, error) {
	var (
		sum []byte
		err error
	)
	switch e {
	case Hex:
		if strings.ToLower(s) != s {
			return nil, errors.New("it is not lower-case hex")
		}
		sum, err = hex.DecodeString(s)
	case Base64:
		if strings.ContainsAny(s, "\r\n") { // which the decoder skips
			return nil, errors.New("it is not base64")
		}
		sum, err = base64.StdEncoding.Strict().DecodeString(s)
	}
	if err != nil {
		return nil, fmt.Errorf("it is not %s", e) // the error of the decoder quotes what it read
	}
	if len(sum) != size {
		return nil, fmt.Errorf("it has %d bytes, not %d", len(sum), size)
	}
	return sum, nil
}
