package jwt

import (
	"slices"
	"strings"
	"testing"
	"time"
)

var sentinels = []error{
	nil, ErrDuplicate, ErrTooLarge, ErrMalformed, ErrAlgorithm, ErrIssuer, ErrUnknownKey, ErrSignature, ErrAudience, ErrExpired,
	ErrNotYetValid, ErrClaim,
}

// FuzzPrincipal: nothing that a client sends is accepted but the token that was signed, in its one spelling; whatever it is
// refused for, the error is one of the package's and quotes nothing.
func FuzzPrincipal(f *testing.F) {
	s := newSigner(f, "k", "EdDSA")
	v := open(f, trust(keyFile(f, s)))
	good := s.token(f, claims{"exp": time.Now().Add(24 * time.Hour).Unix()})
	head, tail, _ := strings.Cut(good, ".")
	body, signature, _ := strings.Cut(tail, ".")
	for _, line := range []string{
		"Bearer " + good, "bearer  " + good, good, "Bearer " + head + ".." + signature, "Bearer " + body + "." + body + "." + body,
		"Bearer " + encode(`{"alg":"none"}`) + "." + body + ".", "Bearer " + encode(`{"alg":"EdDSA","jwk":{}}`) + "." + body + "." + signature,
		"Bearer " + encode(`{"alg":"EdDSA","x5c":[""]}`) + "." + encode(strings.Repeat("[", 999)) + "." + signature,
		"Bearer ", "Basic Og==", "", "Bearer\t" + good, "Bearer " + good + "\n",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		who, err := v.Principal(bearing(t, line), "sub")
		if !slices.Contains(sentinels, err) {
			t.Errorf("got error %v", err)
		}
		scheme, text, _ := strings.Cut(line, " ")
		signed := strings.EqualFold(scheme, "Bearer") && strings.TrimLeft(text, " ") == good
		if (who != "") != signed {
			t.Errorf("%q: got %q, %v", line, who, err)
		}
	})
}

// FuzzToken: what a trusted issuer signs can be anything, too.
func FuzzToken(f *testing.F) {
	s := newSigner(f, "k", "EdDSA")
	v := open(f, trust(keyFile(f, s)))
	for _, payload := range []string{
		string(valid(nil).json(f)), `{}`, `null`, `{"iss":"` + issuerName + `","aud":["` + audience + `"],"exp":1e18,"sub":1e999}`,
		`{"sub":"a","sub":"b"}`, `{"exp":99999999999999999999}`, `{"iss":null,"aud":{}}`, `{"\ud800":1,"\ud801":2}`, "{\"a\":\"\xff\"}",
	} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		who, err := ask(t, v, s.sign(t, payload, nil), "sub")
		if !slices.Contains(sentinels, err) || (who == "") != (err != nil) {
			t.Errorf("got %q, %v", who, err)
		}
	})
}

func FuzzKeySet(f *testing.F) {
	all := make([]signer, len(supportedAlgorithms))
	for i, a := range supportedAlgorithms {
		all[i] = newSigner(f, "k", string(a))
	}
	f.Add(published(f, all...))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"oct","k":"AA"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"},{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}]}`))
	token, err := parse(newSigner(f, "k", "RS256").token(f, nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := parseKeySet(data)
		if (err == nil) != (set != nil && len(set.keys) > 0) {
			t.Fatalf("got %v, %v", set, err)
		}
		if err == nil {
			_ = confirm(set, token)
		}
	})
}
