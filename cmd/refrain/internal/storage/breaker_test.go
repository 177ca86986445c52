package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

// A fading store answers while it is well, and otherwise not before the caller leaves.
type fading struct {
	refrain.Store

	ill   bool
	calls int
}

var errFades = errors.New("it fades")

func (f *fading) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	f.calls++
	if f.ill {
		<-ctx.Done()
		return refrain.Decision{}, fmt.Errorf("%w: %w", errFades, ctx.Err())
	}
	return f.Store.Claim(ctx, c)
}

// asked makes a claim as a Guard does, and returns how long it took.
func asked(b *breaker) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := b.Claim(ctx, refrain.Claim{ID: randomID(), Token: refrain.NewToken(), Lease: time.Minute})
	return time.Since(began), err
}

func randomID() (id refrain.ID) {
	_, _ = rand.Read(id[:])
	return id
}

func TestASilentStoreCostsNoWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &fading{Store: memstore.New(memstore.Config{})}
		defer store.Close()
		b := newBreaker(store, slog.New(slog.DiscardHandler))
		store.ill = true
		for range tripAfter {
			if took, err := asked(b); err == nil || took == 0 {
				t.Fatalf("got %v after %s from a store that does not answer", err, took)
			}
		}
		for range 100 {
			took, err := asked(b)
			if took != 0 || !errors.Is(err, refrain.ErrUnavailable) || !strings.Contains(err.Error(), errFades.Error()) {
				t.Fatalf("got %v after %s, want a refusal at once that says what was wrong", err, took)
			}
		}
		if store.calls != tripAfter {
			t.Errorf("the store was asked %d times, want %d", store.calls, tripAfter)
		}
		store.ill = false
		time.Sleep(coolDown + time.Millisecond)
		synctest.Wait()
		for range 3 {
			if took, err := asked(b); err != nil || took != 0 {
				t.Fatalf("got %v after %s from a store that is back", err, took)
			}
		}
	})
}

// TestAPartOfTheStoreIsAway asks the part that is away again and again, and now and then the other: that one goes on.
func TestAPartOfTheStoreIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &fading{Store: memstore.New(memstore.Config{})}
		defer store.Close()
		b := newBreaker(store, slog.New(slog.DiscardHandler))
		leaves := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 0)
			defer cancel()
			_, err := b.Claim(ctx, refrain.Claim{ID: randomID(), Token: refrain.NewToken(), Lease: time.Minute})
			return err
		}
		for range 10 * coolDown / (silence / 2) {
			store.ill = true
			for range 3 * tripAfter {
				if err := leaves(); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("got error %v of the part that is away", err)
				}
			}
			store.ill = false
			if _, err := asked(b); err != nil {
				t.Fatalf("got error %v of the part that answers", err)
			}
			time.Sleep(silence / 2)
		}
	})
}

func TestRefusalsOfTheStoreAreAnswers(t *testing.T) {
	t.Parallel()
	store := memstore.New(memstore.Config{})
	defer store.Close()
	b := newBreaker(store, slog.New(slog.DiscardHandler))
	for range 3 * tripAfter {
		err := b.Renew(t.Context(), refrain.Renewal{Token: refrain.NewToken(), Lease: time.Minute})
		if !errors.Is(err, refrain.ErrStale) {
			t.Fatalf("got %v, want %v", err, refrain.ErrStale)
		}
	}
}
