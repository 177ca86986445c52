package jwt

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// refreshTimeout bounds reading a key set, and so how long a request can wait for it.
	refreshTimeout = 5 * time.Second
	// refreshGap is the least time between two refreshes that requests ask for: who sends tokens with invented kids does not
	// make us hammer the issuer.
	refreshGap = 10 * time.Second
	// trustedFor is how long keys are believed that nobody could read again: what an issuer withdraws in that time is not heard of.
	trustedFor = 24 * time.Hour
)

// A keyring holds the keys of one issuer, as fresh as its source allows. One goroutine, run, does all the refreshing.
type keyring struct {
	source  source
	log     *slog.Logger
	current atomic.Pointer[keySet]
	asks    chan chan struct{} // each is closed when the keys are as fresh as they may be
	done    chan struct{}      // closed when run has ended

	asked   time.Time // when a request's refresh ended, last
	read    time.Time // when the source had the current keys, last
	failing bool
}

// newKeyring returns a keyring with the keys that its source has now, or the error of why it has none.
func newKeyring(ctx context.Context, from source, log *slog.Logger) (*keyring, error) {
	k := &keyring{source: from, log: log, asks: make(chan chan struct{}), done: make(chan struct{})}
	return k, k.refresh(ctx)
}

// refresh reads the keys anew. On an error the old ones stay in force, for trustedFor: an issuer that is away for a while has not
// withdrawn its keys. A set that has not changed stays the same, so that what was verified by it stays so.
func (k *keyring) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	data, err := k.source.read(ctx)
	if err != nil {
		return fmt.Errorf("reading the keys in %s: %w", k.source.name, err)
	}
	if old := k.current.Load(); old != nil && old.data == string(data) {
		k.read = time.Now()
		return nil
	}
	set, err := parseKeySet(data)
	if err != nil {
		return fmt.Errorf("the keys in %s are of no use: %w", k.source.name, err)
	}
	k.current.Store(set)
	k.read = time.Now()
	k.log.Info("issuer's keys read", "from", k.source.name, "keys", len(set.keys))
	return nil
}

// run keeps the keys fresh until ctx ends.
func (k *keyring) run(ctx context.Context) {
	defer close(k.done)
	tick := time.NewTicker(k.source.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.report(ctx, k.refresh(ctx))
		case fresh := <-k.asks:
			k.answer(ctx)
			close(fresh)
		}
	}
}

// answer refreshes for a request. Those that came while it did so are answered by the same refresh: they find it recent.
func (k *keyring) answer(ctx context.Context) {
	if !k.asked.IsZero() && time.Since(k.asked) < refreshGap {
		return
	}
	k.report(ctx, k.refresh(ctx))
	k.asked = time.Now()
}

// report logs when refreshing begins to fail, and when it works again. Keys that have not been read for too long go.
func (k *keyring) report(ctx context.Context, err error) {
	failed := err != nil && ctx.Err() == nil
	switch {
	case failed && !k.failing:
		k.log.Warn("issuer's keys not refreshed; the old ones stay in force", "error", err)
	case err == nil && k.failing:
		k.log.Info("issuer's keys can be read again", "from", k.source.name)
	}
	k.failing = failed
	if failed && time.Since(k.read) >= trustedFor && len(k.current.Load().keys) > 0 {
		k.log.Error("issuer's keys not read for too long; its tokens are refused", "from", k.source.name, "since", k.read)
		k.current.Store(&keySet{})
	}
}

// find returns a set of keys that has one for the header. If the current one has none, it is refreshed first, unless that was
// done a moment ago; that takes until ctx ends or refreshTimeout, at most. The set returned may have none.
func (k *keyring) find(ctx context.Context, h jose.Header) *keySet {
	if set := k.current.Load(); set.has(h) {
		return set
	}
	return k.fresh(ctx)
}

// fresh returns the keys after a refresh, as find does.
func (k *keyring) fresh(ctx context.Context) *keySet {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	fresh := make(chan struct{})
	select {
	case k.asks <- fresh:
		select {
		case <-fresh:
		case <-ctx.Done():
		}
	case <-k.done:
	case <-ctx.Done():
	}
	return k.current.Load()
}
