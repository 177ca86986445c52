package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

const (
	// maxKeys bounds what a token without a kid can make us try.
	maxKeys = 100
	// minRSABits is what RFC 7518 section 3.3 demands. The library passes over keys of more than 4096 bits, whose signatures
	// are expensive to check.
	minRSABits = 2048
)

// A keySet is what an issuer published at one time. It does not change: that a token was verified by this very set is what the
// cache remembers of it.
type keySet struct {
	keys []jose.JSONWebKey
	data string // as published
}

var errPrivateKey = errors.New("it contains a private key: whoever can read it can sign tokens; replace that key, and publish " +
	"the public part only")

// parseKeySet reads a JWK Set. Keys that are of no use here (other types, for encryption, too weak) are passed over, as RFC
// 7517 section 5 asks; with none left, the error says why.
func parseKeySet(data []byte) (*keySet, error) {
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("it is not a JWK Set (RFC 7517 section 5): %w", err)
	}
	if len(document.Keys) > maxKeys {
		return nil, fmt.Errorf("it has %d keys; at most %d are read", len(document.Keys), maxKeys)
	}
	set := &keySet{data: string(data)}
	var passed []error
	for i, text := range document.Keys {
		key, err := parseKey(text)
		switch {
		case errors.Is(err, errPrivateKey):
			return nil, err
		case err != nil:
			passed = append(passed, fmt.Errorf("keys[%d]: %w", i, err))
		default:
			set.keys = append(set.keys, key)
		}
	}
	if len(set.keys) == 0 {
		return nil, errors.Join(append([]error{errors.New("it has no key that can check a signature")}, passed...)...)
	}
	return set, nil
}

func parseKey(text []byte) (jose.JSONWebKey, error) {
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(text); err != nil {
		return key, err
	}
	switch public := key.Key.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
		return key, errPrivateKey
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minRSABits {
			return key, fmt.Errorf("an RSA key has %d bits, fewer than %d", bits, minRSABits)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return key, errors.New("it is not a public key")
	}
	if key.Use != "" && key.Use != "sig" {
		return key, errors.New("it is not meant for signatures (use)")
	}
	return key, nil
}

// matching returns the keys that a token with this header can have been signed with. One without a kid can be anyone's.
func (s *keySet) matching(h jose.Header) iter.Seq[jose.JSONWebKey] {
	return func(yield func(jose.JSONWebKey) bool) {
		for _, key := range s.keys {
			named := h.KeyID == "" || key.KeyID == h.KeyID
			if named && fits(key, h.Algorithm) && !yield(key) {
				return
			}
		}
	}
}

func (s *keySet) has(h jose.Header) bool {
	for range s.matching(h) {
		return true
	}
	return false
}

// fits reports whether the key is for that algorithm. The curve of an ECDSA key is compared when the signature is.
func fits(key jose.JSONWebKey, algorithm string) bool {
	if key.Algorithm != "" && key.Algorithm != algorithm {
		return false
	}
	switch key.Key.(type) {
	case *rsa.PublicKey:
		return slices.Contains([]string{"RS", "PS"}, algorithm[:2])
	case *ecdsa.PublicKey:
		return algorithm[:2] == "ES"
	}
	return algorithm == string(jose.EdDSA)
}
