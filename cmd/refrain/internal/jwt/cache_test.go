package jwt

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"
)

func (c *cache) size() int { return len(c.young) + len(c.old) }

func TestAnExpiredTokenIsNotAcceptedFromTheCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSigner(t, "k", "EdDSA")
		v := open(t, trust(keyFile(t, s)))
		token := s.token(t, claims{"exp": time.Now().Add(time.Minute).Unix()})
		for range 3 {
			wantPrincipal(t, v, token)
			time.Sleep(20*time.Second - time.Millisecond)
		}
		time.Sleep(defaultLeeway)
		wantPrincipal(t, v, token) // within the leeway it is verified each time
		time.Sleep(time.Second)
		wantRefused(t, v, token, ErrExpired)
	})
}

func TestARotatedOutTokenIsNotAcceptedFromTheCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, next := newSigner(t, "old", "EdDSA"), newSigner(t, "new", "EdDSA")
		path := keyFile(t, s)
		v := open(t, trust(path))
		token := s.token(t, nil)
		wantPrincipal(t, v, token)
		write(t, path, published(t, next))
		time.Sleep(fileInterval)
		synctest.Wait()
		wantRefused(t, v, token, ErrUnknownKey)
		wantPrincipal(t, v, next.token(t, nil))
	})
}

// TestAKeyThatChangesUnderItsNameIsAnotherKey: an issuer may use a kid again.
func TestAKeyThatChangesUnderItsNameIsAnotherKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, next := newSigner(t, "k", "EdDSA"), newSigner(t, "k", "EdDSA")
		path := keyFile(t, s)
		v := open(t, trust(path))
		token := s.token(t, nil)
		wantPrincipal(t, v, token)
		write(t, path, published(t, next))
		time.Sleep(fileInterval)
		synctest.Wait()
		wantRefused(t, v, token, ErrSignature)
	})
}

func TestEachClaimIsCachedForItself(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k", "EdDSA")
	v := open(t, trust(keyFile(t, s)))
	token := s.token(t, claims{"tenant": "alice"})
	for range 2 {
		subject := wantPrincipal(t, v, token)
		if tenant, err := ask(t, v, token, "tenant"); err != nil || tenant == subject {
			t.Errorf("got %q, %v, want another principal than %q", tenant, err, subject)
		}
	}
	if v.cache.size() != 2 {
		t.Errorf("got %d entries, want 2", v.cache.size())
	}
}

func TestRefusedTokensAreNotCached(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k", "EdDSA")
	v := open(t, trust(keyFile(t, s)))
	wantRefused(t, v, newSigner(t, "k", "EdDSA").token(t, nil), ErrSignature)
	wantRefused(t, v, s.token(t, claims{"aud": "b"}), ErrAudience)
	wantRefused(t, v, s.token(t, claims{"sub": nil}), ErrClaim)
	if v.cache.size() != 0 {
		t.Errorf("got %d entries, want none", v.cache.size())
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	var c cache
	keys := &keyring{}
	keys.current.Store(&keySet{})
	kept := verified{principal: "kept", until: time.Now().Add(time.Hour), by: keys.current.Load(), keys: keys}
	c.put(question{claim: "kept"}, kept)
	for i := range uint64(10 * maxCached) {
		var q question
		binary.BigEndian.PutUint64(q.token[:], i)
		c.put(q, kept)
		if who, ok := c.get(question{claim: "kept"}); !ok || who != "kept" {
			t.Fatalf("what is in use is forgotten after %d others", i)
		}
		if c.size() > 2*maxCached {
			t.Fatalf("got %d entries, want at most %d", c.size(), 2*maxCached)
		}
	}
}

func BenchmarkPrincipal(b *testing.B) {
	for _, algorithm := range defaultAlgorithms {
		s := newSigner(b, "k", algorithm)
		v := open(b, trust(keyFile(b, s)))
		token := s.token(b, nil)
		b.Run(algorithm+"/verified", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.verify(b.Context(), token, "sub"); err != nil {
					b.Fatal(err)
				}
			}
		})
		r := bearing(b, "Bearer "+token)
		b.Run(algorithm+"/cached", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Principal(r, "sub"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
