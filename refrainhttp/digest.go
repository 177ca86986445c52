package refrainhttp

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

const headerDigest = "Content-Digest"

// checkDigest says what is wrong with a request's Content-Digest (RFC 9530): the body is not what it says, or it says nothing
// that can be checked. Of several digests, each with an algorithm that is known must hold.
func checkDigest(mode DigestMode, h http.Header, body []byte) error {
	lines := h[headerDigest]
	if mode == DigestIgnore || mode == DigestVerify && len(lines) == 0 {
		return nil
	}
	checked := false
	for member := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(member), "=")
		sum := digestOf(name, body)
		if sum == nil {
			continue
		}
		want, err := byteSequence(value)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %s is not a byte sequence (RFC 9651): %w", headerDigest, name, err)
		case subtle.ConstantTimeCompare(sum, want) == 0:
			return fmt.Errorf("%s: the body is not what %s says; it may have been damaged on its way", headerDigest, name)
		}
		checked = true
	}
	if !checked && mode == DigestRequire {
		return fmt.Errorf("%s: the request needs one with sha-256 or sha-512 (RFC 9530)", headerDigest)
	}
	return nil
}

// digestOf returns the body's digest by an algorithm that RFC 9530 calls active, or nil.
func digestOf(algorithm string, body []byte) []byte {
	switch algorithm {
	case "sha-256":
		sum := sha256.Sum256(body)
		return sum[:]
	case "sha-512":
		sum := sha512.Sum512(body)
		return sum[:]
	}
	return nil
}

// byteSequence parses a Byte Sequence (RFC 9651, section 4.2.7).
func byteSequence(s string) ([]byte, error) {
	inner, ok := strings.CutPrefix(s, ":")
	inner, closed := strings.CutSuffix(inner, ":")
	if !ok || !closed {
		return nil, errors.New("it is not between colons")
	}
	return base64.StdEncoding.DecodeString(inner)
}
