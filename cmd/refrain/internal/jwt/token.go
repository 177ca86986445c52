package jwt

import (
	"encoding/base64"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // unlike encoding/json, it refuses duplicate members
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// maxToken is in bytes. Tokens with many groups have some ten thousand.
	maxToken = 16 << 10
	// maxValue is how long the value of a claim that names a principal may be, in bytes of JSON.
	maxValue = 1 << 10
)

// A token is what a request says. Until its issuer has verified it, nothing in it is to be believed.
type token struct {
	signed     *jose.JSONWebSignature
	header     jose.Header
	registered jwt.Claims
	claims     map[string]json.RawMessage
}

// parse takes a token apart. The library's errors quote the token, so none of them is passed on.
func parse(text string) (*token, error) {
	if !canonical(text) {
		return nil, ErrMalformed
	}
	signed, err := jose.ParseSignedCompact(text, supportedAlgorithms)
	if _, ok := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); ok {
		return nil, ErrAlgorithm
	}
	if err != nil {
		return nil, ErrMalformed
	}
	t := &token{signed: signed, header: signed.Signatures[0].Protected}
	if extended(t.header) || !t.decode(signed.UnsafePayloadWithoutVerification()) {
		return nil, ErrMalformed
	}
	return t, nil
}

// canonical reports whether text is the compact serialization of RFC 7515 section 7.1 and nothing besides: decoders ignore
// line breaks and stray bits, which would give one token many spellings.
func canonical(text string) bool {
	parts := strings.SplitN(text, ".", 4)
	if len(parts) != 3 || strings.ContainsAny(text, "\r\n") {
		return false
	}
	for _, part := range parts {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return false
		}
	}
	return true
}

// extended reports whether the header demands an extension: a recipient that does not know it must refuse (RFC 7515 section
// 4.1.11), and a JWT must not use b64 (RFC 7797 section 7), which changes what was signed.
func extended(h jose.Header) bool {
	_, crit := h.ExtraHeaders["crit"]
	_, b64 := h.ExtraHeaders["b64"]
	return crit || b64
}

func (t *token) decode(payload []byte) bool {
	return utf8.Valid(payload) &&
		json.Unmarshal(payload, &t.registered) == nil &&
		json.Unmarshal(payload, &t.claims) == nil
}

// A value is what a claim says: a string and a number with the same digits are two.
type value struct{ kind, text string }

// value returns the value of a claim that can name a principal.
func (t *token) value(claim string) (value, error) {
	raw := t.claims[claim]
	if len(raw) == 0 || len(raw) > maxValue {
		return value{}, ErrClaim
	}
	switch {
	case raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9':
		return value{"number", string(raw)}, nil
	case raw[0] != '"':
		return value{}, ErrClaim
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil || text == "" || !plain(text) {
		return value{}, ErrClaim
	}
	return value{"string", text}, nil
}

// expiry returns when the token ends. A verified one has an end.
func (t *token) expiry() time.Time { return t.registered.Expiry.Time() }
