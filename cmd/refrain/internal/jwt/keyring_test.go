package jwt

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A publisher is a source of keys that can be told what to say.
type publisher struct {
	data  atomic.Pointer[[]byte] // nil: it cannot be reached
	slow  atomic.Bool            // it does not answer
	reads atomic.Int32
}

func (p *publisher) publish(data []byte) { p.data.Store(&data) }

func (p *publisher) read(ctx context.Context) ([]byte, error) {
	p.reads.Add(1)
	if p.slow.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if data := p.data.Load(); data != nil {
		return *data, nil
	}
	return nil, errors.New("connection refused")
}

// ring returns a running keyring of what the publisher says, and what it logs.
func ring(t *testing.T, p *publisher) (*keyring, *bytes.Buffer) {
	t.Helper()
	var logged bytes.Buffer
	k, err := newKeyring(t.Context(), source{"a test", urlInterval, p.read}, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	go k.run(ctx)
	t.Cleanup(func() {
		stop()
		<-k.done
	})
	return k, &logged
}

func (s signer) head() jose.Header { return jose.Header{KeyID: s.KeyID, Algorithm: s.Algorithm} }

// finds reports whether the signer's key is found, and how long that took.
func finds(k *keyring, s signer) (bool, time.Duration) {
	start := time.Now()
	return k.find(context.Background(), s.head()).has(s.head()), time.Since(start)
}

func TestUnknownKidsRefreshOnceInAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, next, last := newSigner(t, "1", "EdDSA"), newSigner(t, "2", "EdDSA"), newSigner(t, "3", "EdDSA")
		var p publisher
		p.publish(published(t, s))
		k, _ := ring(t, &p)
		p.publish(published(t, next))
		if found, _ := finds(k, next); !found {
			t.Fatal("a new kid does not refresh the keys")
		}
		p.publish(published(t, last))
		var storm sync.WaitGroup
		for range 100 {
			storm.Go(func() {
				if found, took := finds(k, last); found || took != 0 {
					t.Errorf("got %t after %s, want no refresh so soon", found, took)
				}
			})
		}
		storm.Wait()
		if n := p.reads.Load(); n != 2 {
			t.Errorf("got %d reads, want the first and one for a kid", n)
		}
		time.Sleep(refreshGap)
		if found, _ := finds(k, last); !found {
			t.Error("a new kid does not refresh the keys after the gap")
		}
	})
}

func TestARefreshIsSharedByAllWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, next := newSigner(t, "1", "EdDSA"), newSigner(t, "2", "EdDSA")
		var p publisher
		p.publish(published(t, s))
		k, _ := ring(t, &p)
		p.slow.Store(true)
		var waiting sync.WaitGroup
		for range 100 {
			waiting.Go(func() {
				if found, took := finds(k, next); found || took > refreshTimeout {
					t.Errorf("got %t after %s", found, took)
				}
			})
		}
		synctest.Wait()
		if found, took := finds(k, s); !found || took != 0 {
			t.Errorf("a known kid waits: got %t after %s", found, took)
		}
		waiting.Wait()
		if n := p.reads.Load(); n != 2 {
			t.Errorf("got %d reads, want 2", n)
		}
	})
}

func TestALeavingRequestDoesNotWaitForKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, next := newSigner(t, "1", "EdDSA"), newSigner(t, "2", "EdDSA")
		var p publisher
		p.publish(published(t, s))
		k, _ := ring(t, &p)
		p.slow.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if k.find(ctx, next.head()).has(next.head()) || time.Since(start) != time.Second {
			t.Errorf("left after %s", time.Since(start))
		}
	})
}

func TestKeysThatCannotBeReadForTooLongGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSigner(t, "1", "EdDSA")
		var p publisher
		good := published(t, s)
		p.publish(good)
		k, logged := ring(t, &p)
		time.Sleep(time.Hour)
		synctest.Wait()
		p.data.Store(nil)
		time.Sleep(trustedFor - time.Second)
		synctest.Wait()
		if found, _ := finds(k, s); !found {
			t.Error("keys are gone before their time")
		}
		time.Sleep(urlInterval)
		synctest.Wait()
		if found, _ := finds(k, s); found {
			t.Error("keys are believed that nobody has read for a day")
		}
		time.Sleep(trustedFor)
		if n := strings.Count(logged.String(), "its tokens are refused"); n != 1 {
			t.Errorf("got %d errors, want 1:\n%s", n, logged)
		}
		p.publish(good)
		if found, _ := finds(k, s); !found {
			t.Error("keys that can be read again are not believed")
		}
	})
}

func TestOldKeysStayInForceWhileRefreshesFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSigner(t, "1", "EdDSA")
		var p publisher
		good := published(t, s)
		p.publish(good)
		k, logged := ring(t, &p)
		set := k.current.Load()
		for _, bad := range []string{"<html>", `{"keys":[]}`, `{}`, "null", ""} {
			p.publish([]byte(bad))
			time.Sleep(urlInterval)
		}
		p.data.Store(nil)
		time.Sleep(trustedFor - 6*urlInterval)
		synctest.Wait()
		if found, _ := finds(k, s); !found || k.current.Load() != set {
			t.Error("the old keys are gone")
		}
		p.publish(good)
		time.Sleep(urlInterval)
		synctest.Wait()
		if k.current.Load() != set {
			t.Error("keys that have not changed are taken for others")
		}
		if n := strings.Count(logged.String(), "old ones stay in force"); n != 1 {
			t.Errorf("got %d warnings in a row, want 1:\n%s", n, logged)
		}
		if !strings.Contains(logged.String(), "can be read again") {
			t.Errorf("the end of the failure is not logged:\n%s", logged)
		}
	})
}

func TestWithdrawnKeysAreDroppedInTheBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, next := newSigner(t, "1", "EdDSA"), newSigner(t, "2", "EdDSA")
		var p publisher
		p.publish(published(t, s, next))
		k, _ := ring(t, &p)
		p.publish(published(t, next))
		time.Sleep(urlInterval)
		synctest.Wait()
		if k.current.Load().has(s.head()) {
			t.Error("the key is still there")
		}
	})
}

// Issuers that give their keys no kid, or the next one the kid of the last, are heard too.
func TestAKeyMayTakeThePlaceOfAnother(t *testing.T) {
	t.Parallel()
	for _, kid := range []string{"", "1"} {
		old, next := newSigner(t, kid, "EdDSA"), newSigner(t, kid, "EdDSA")
		file := keyFile(t, old)
		v := open(t, trust(file))
		wantPrincipal(t, v, old.token(t, nil))
		if err := os.WriteFile(file, published(t, next), 0o600); err != nil {
			t.Fatal(err)
		}
		wantPrincipal(t, v, next.token(t, nil))
		wantRefused(t, v, old.token(t, nil), ErrSignature)
	}
}

func TestAClosedVerifierKeepsItsKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSigner(t, "1", "EdDSA")
		v := open(t, trust(keyFile(t, s)))
		v.Close()
		wantPrincipal(t, v, s.token(t, nil))
		start := time.Now()
		wantRefused(t, v, newSigner(t, "2", "EdDSA").token(t, nil), ErrUnknownKey)
		if took := time.Since(start); took != 0 {
			t.Errorf("waited %s for keys that nobody reads", took)
		}
	})
}
