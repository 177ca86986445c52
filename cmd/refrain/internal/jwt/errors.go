package jwt

import "errors"

// Why a token is refused. The messages name the rule that was broken, and nothing of the token.
var (
	// ErrDuplicate: the header that carries the token has several lines; which of them is meant, nobody can say.
	ErrDuplicate = errors.New("the request has several lines of the header that carries the token; send one")
	// ErrTooLarge: the token has more than 16 KiB.
	ErrTooLarge = errors.New("the token is longer than 16 KiB")
	// ErrMalformed: it is no signed token of RFC 7519 in compact form, or one with an extension that is not known here.
	ErrMalformed = errors.New("the token is not a signed JWT (RFC 7519) in compact form")
	// ErrAlgorithm: it is signed by an algorithm that its issuer is not configured to use, or not signed at all.
	ErrAlgorithm = errors.New("the token's signature algorithm is not allowed")
	// ErrIssuer: nobody configured has the name in iss.
	ErrIssuer = errors.New("the token's issuer (iss) is not one that is trusted")
	// ErrUnknownKey: its issuer has published no key with that kid for that algorithm.
	ErrUnknownKey = errors.New("the token's issuer has no such key (kid)")
	// ErrSignature: the key does not confirm the signature.
	ErrSignature = errors.New("the token's signature is not valid")
	// ErrAudience: it is meant for others.
	ErrAudience = errors.New("the token is meant for another audience (aud)")
	// ErrExpired: its exp has passed, or it has none.
	ErrExpired = errors.New("the token has expired, or does not say when it does (exp)")
	// ErrNotYetValid: its nbf or iat is to come.
	ErrNotYetValid = errors.New("the token is not valid yet (nbf, iat)")
	// ErrClaim: the token is in order, but the claim that names the principal is absent, empty, longer than 1 KiB, not
	// Unicode text, or neither a string nor a number.
	ErrClaim = errors.New("the token has no usable value in the claim that names the principal")
)
