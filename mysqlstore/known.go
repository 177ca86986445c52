package mysqlstore

import (
	"sync"

	"github.com/refrain-dev/refrain"
)

// maxKnown bounds what the store remembers of claims. One that it has forgotten is finished in two round trips instead of one.
const maxKnown = 1 << 16

// known are the claims that were made through this store and have not ended, as far as it knows.
type known struct {
	mu      sync.Mutex
	records map[refrain.ID]refrain.Record
}

func (k *known) put(id refrain.ID, r *refrain.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.records) >= maxKnown {
		for other := range k.records { // any
			delete(k.records, other)
			break
		}
	}
	k.records[id] = *r
}

// get returns the claim, if it is of that token.
func (k *known) get(id refrain.ID, token refrain.Token) (refrain.Record, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, ok := k.records[id]
	return r, ok && r.Token == token
}

func (k *known) forget(id refrain.ID, token refrain.Token) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.records[id].Token == token {
		delete(k.records, id)
	}
}
