package jwt

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
)

// A trusted issuer is one with its keys at hand.
type trusted struct {
	Issuer
	keys   *keyring
	leeway time.Duration
}

// verify returns the keys that confirm the token, or why it is refused.
func (i *trusted) verify(ctx context.Context, t *token) (*keySet, error) {
	if !slices.Contains(i.algorithms(), t.header.Algorithm) {
		return nil, ErrAlgorithm
	}
	set := i.keys.find(ctx, t.header)
	err := confirm(set, t)
	if errors.Is(err, ErrSignature) { // perhaps by a key that has taken the place of another one with that kid, or without any
		set = i.keys.fresh(ctx)
		err = confirm(set, t)
	}
	if err != nil {
		return nil, err
	}
	return set, i.validate(t.registered)
}

// confirm returns nil if one of the keys has signed the token.
func confirm(set *keySet, t *token) error {
	err := ErrUnknownKey
	for key := range set.matching(t.header) {
		if _, invalid := t.signed.Verify(key.Key); invalid == nil {
			return nil
		}
		err = ErrSignature
	}
	return err
}

// validate checks what the token says of itself.
func (i *trusted) validate(claims jwt.Claims) error {
	if claims.Expiry == nil {
		return ErrExpired
	}
	expected := jwt.Expected{Issuer: i.Name, AnyAudience: i.Audiences, Time: time.Now()}
	err := claims.ValidateWithLeeway(expected, i.leeway)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrInvalidAudience):
		return ErrAudience
	case errors.Is(err, jwt.ErrInvalidIssuer):
		return ErrIssuer
	case errors.Is(err, jwt.ErrExpired):
		return ErrExpired
	}
	return ErrNotYetValid
}
