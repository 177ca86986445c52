package jwt

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func TestKeysOfNoUseArePassedOver(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k", "EdDSA")
	encryption := newSigner(t, "e", "ES256")
	encrypts := encryption.Public()
	encrypts.Use = "enc"
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(published(t, s, signer{encrypts}), &document); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{
		`{"kty":"oct","k":"c2VzYW1l","kid":"k"}`, `{"kty":"OKP","crv":"X25519","x":"AA"}`, `{"kty":"new"}`, `{}`, `7`,
		`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`, `{"kty":"RSA","n":"AQAB","e":"AQAB"}`,
	} {
		document.Keys = append(document.Keys, json.RawMessage(other))
	}
	data, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	set, err := parseKeySet(data)
	if err != nil || len(set.keys) != 1 || !set.has(s.head()) {
		t.Errorf("got %v, %v, want one key", set, err)
	}
}

func TestBadKeySetsSayWhy(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k", "EdDSA")
	private, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.Public(), s.JSONWebKey}})
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, minRSABits/2)
	if err != nil {
		t.Fatal(err)
	}
	weak := signer{jose.JSONWebKey{Key: short, Algorithm: "RS256"}}
	for data, want := range map[string]string{
		"":              "not a JWK Set",
		"<html>":        "not a JWK Set",
		"[]":            "not a JWK Set",
		"null":          "no key that can check a signature",
		"{}":            "no key that can check a signature",
		`{"keys":[]}`:   "no key that can check a signature",
		string(private): "contains a private key",
		`{"keys":[{"kty":"oct","k":"c2VzYW1l"}]}`:             "keys[0]: it is not a public key",
		string(published(t, weak)):                            "an RSA key has 1024 bits, fewer than 2048",
		`{"keys":[` + strings.Repeat("{},", maxKeys) + "{}]}": "101 keys",
	} {
		_, err := parseKeySet([]byte(data))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %v, want %s", data, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "c2VzYW1l") {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}

// TestATokenWithoutAKid is verified by any of the keys that are for its algorithm.
func TestATokenWithoutAKid(t *testing.T) {
	t.Parallel()
	one, two, stranger := newSigner(t, "1", "EdDSA"), newSigner(t, "2", "EdDSA"), newSigner(t, "", "EdDSA")
	v := open(t, trust(keyFile(t, one, two)))
	one.KeyID, two.KeyID = "", ""
	wantPrincipal(t, v, one.token(t, nil))
	wantPrincipal(t, v, two.token(t, nil))
	wantRefused(t, v, stranger.token(t, nil), ErrSignature)
}
