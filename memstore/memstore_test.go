package memstore_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) refrain.Store { return memstore.New(memstore.Config{}) })
}

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(*testing.B) refrain.Store { return memstore.New(memstore.Config{}) })
}

// TestFull fills a store: it refuses what is new and serves what it knows, forgets nothing early, and recovers as outcomes
// expire.
func TestFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{MaxBytes: 1 << 20})
		id := func(i int) refrain.ID { return refrain.ID{byte(i), byte(i >> 8), byte(i >> 16)} }
		claim := func(i int) (refrain.Claim, refrain.Decision, error) {
			c := refrain.Claim{ID: id(i), Token: refrain.NewToken(), Lease: time.Hour}
			d, err := s.Claim(t.Context(), c)
			return c, d, err
		}
		var claims []refrain.Claim
		for i := 0; ; i++ {
			c, d, err := claim(i)
			if errors.Is(err, refrain.ErrFull) && errors.Is(err, refrain.ErrUnavailable) {
				break
			}
			if err != nil || d.Verdict != refrain.Run {
				t.Fatalf("claim %d: got verdict %v and error %v", i, d.Verdict, err)
			}
			claims = append(claims, c)
			_, err = s.Settle(t.Context(), refrain.Settlement{
				ID: c.ID, Token: c.Token, Ending: refrain.Finished, Outcome: &refrain.Outcome{Body: make([]byte, 1000)},
				Retention: time.Hour, Tombstone: time.Hour,
			})
			if err != nil {
				t.Fatalf("settle %d: %v", i, err)
			}
		}
		if n := len(claims); n < 500 || n > 1000 {
			t.Errorf("got %d outcomes of 1000 bytes in 1 MiB", n)
		}
		all := func(want refrain.Verdict) {
			t.Helper()
			for i := range claims {
				if _, d, err := claim(i); err != nil || d.Verdict != want {
					t.Fatalf("operation %d: got verdict %v and error %v, want %v", i, d.Verdict, err, want)
				}
			}
		}
		all(refrain.Replay)
		<-time.After(time.Hour)
		all(refrain.Expired) // and by that the outcomes are gone
		if _, d, err := claim(1 << 20); err != nil || d.Verdict != refrain.Run {
			t.Errorf("after the retention: got verdict %v and error %v, want %v", d.Verdict, err, refrain.Run)
		}
		<-time.After(time.Hour)
		all(refrain.Run)
	})
}

// TestMemoryIsGivenBack turns over far more operations than the store has room for.
func TestMemoryIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{MaxBytes: 1 << 20})
		for i := range 20_000 {
			c := refrain.Claim{Token: refrain.NewToken(), Lease: time.Hour}
			copy(c.ID[:], fmt.Sprintf("%08d", i*7919))
			c.ID[0] = byte(i * 31)
			if _, err := s.Claim(t.Context(), c); err != nil {
				t.Fatalf("claim %d: %v", i, err)
			}
			e := refrain.Settlement{ID: c.ID, Token: c.Token, Ending: refrain.Released}
			if i%2 == 0 {
				e.Ending, e.Outcome, e.Retention = refrain.Finished, &refrain.Outcome{Body: make([]byte, 500)}, time.Second
			}
			if _, err := s.Settle(t.Context(), e); err != nil {
				t.Fatalf("settle %d: %v", i, err)
			}
			<-time.After(5 * time.Millisecond)
		}
	})
}

// TestPeekToken follows a record by its token, until it is absent.
func TestPeekToken(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	id := refrain.ID{1}
	peek := func(want refrain.Token) {
		t.Helper()
		if got := s.PeekToken(id); got != want {
			t.Errorf("got token %x, want %x", got, want)
		}
	}
	peek(refrain.Token{})
	for range 2 {
		c := refrain.Claim{ID: id, Token: refrain.NewToken(), Lease: time.Hour}
		if _, err := s.Claim(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		peek(c.Token)
		if _, err := s.Settle(t.Context(), refrain.Settlement{ID: id, Token: c.Token, Ending: refrain.Released}); err != nil {
			t.Fatal(err)
		}
		peek(refrain.Token{})
	}
	c := refrain.Claim{ID: id, Token: refrain.NewToken(), Lease: time.Hour}
	if _, err := s.Claim(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	peek(refrain.Token{})
}
