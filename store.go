package refrain

import (
	"context"
	"time"
)

// A Store remembers operations. Package storetest holds the suite that every implementation passes.
//
// All methods may run concurrently, and all transitions of one operation are linearizable. A transition is what the Apply
// methods of Claim, Settlement and Renewal say, with the store's own clock; it is durable, as far as the store's [Tier]
// promises, before its method returns and before any other call can see it. A store keeps a record until Record.At says
// that it is absent, and a record that it cannot read is [Unreadable].
//
// Methods return by the time ctx ends at the latest. An error other than ErrStale means that the transition may or may not
// have happened, or still will; the caller may repeat the call, and the token makes the repetition recognise itself. Only a
// repeated release finds nothing to release, and is ErrStale.
type Store interface {
	// Claim asks for an operation. The fences that a store hands out for one operation only grow, also across releases,
	// restarts and expiry.
	Claim(ctx context.Context, c Claim) (Decision, error)
	// Settle ends a claim and returns the record after it, or ErrStale. The settlement's outcome is the store's from then
	// on: it may keep it and give it to others, so that the caller must not write to it, nor to its slices.
	Settle(ctx context.Context, s Settlement) (Record, error)
	// Renew extends a claim and returns nil or ErrStale. It need not be durable: a lost renewal makes an operation
	// unknown, never run again.
	Renew(ctx context.Context, r Renewal) error
	// Get returns the record as of the store's clock, the zero Record when there is none.
	Get(ctx context.Context, id ID) (Record, error)
	// Close releases what the store holds. Calls under way end, later ones return ErrClosed.
	Close() error
}

// A Peeker is a Store that has everything in memory. A Guard then keeps no outcomes in memory itself.
type Peeker interface {
	// Peek is Get without waiting for anything. It also returns the time by the store's clock, which means nothing with the
	// zero Record.
	Peek(ID) (Record, time.Time)
}

// A TokenPeeker is a Peeker that tells with less effort whether a record has changed since.
type TokenPeeker interface {
	// PeekToken returns the token of a record, the zero Token when there is none. It may return that of a record past its time.
	PeekToken(ID) Token
}

// A Tier is how strong a store's promise is.
type Tier string

// The tiers, the strongest first.
const (
	TierStrict     Tier = "strict"      // survives power loss and failover
	TierProcess    Tier = "process"     // survives a crash of the process
	TierBestEffort Tier = "best-effort" // may lose claims at a failover
	TierVolatile   Tier = "volatile"    // memory
)

// Tiered is implemented by stores that know the strength of their promise.
type Tiered interface {
	Tier() Tier
}
