package jwt

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxCached bounds each generation of the cache. What an entry holds is at most some 1.5 KiB.
const maxCached = 4096

// A question is what the cache answers: whom this claim of this token names. Only tokens' digests are kept.
type question struct {
	token [sha256.Size]byte
	claim string
}

// A verified principal, and for how long it is.
type verified struct {
	principal string
	until     time.Time // the token's own exp, without leeway
	by        *keySet
	keys      *keyring
}

// holds reports whether verifying again would give the same: the token has not ended, and the keys are still those.
func (v verified) holds() bool {
	return time.Now().Before(v.until) && v.keys.current.Load() == v.by
}

// A cache remembers tokens that were verified. It has two generations: when the young one is full, the old one is dropped and
// the young one becomes the old. The zero cache is empty.
type cache struct {
	mu         sync.Mutex
	young, old map[question]verified
}

// get returns the principal that was found, if that still holds.
func (c *cache) get(q question) (string, bool) {
	c.mu.Lock()
	v, ok := c.young[q]
	if !ok {
		if v, ok = c.old[q]; ok {
			c.keep(q, v)
		}
	}
	c.mu.Unlock()
	return v.principal, ok && v.holds()
}

func (c *cache) put(q question, v verified) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(q, v)
}

func (c *cache) keep(q question, v verified) {
	if c.young == nil || len(c.young) >= maxCached {
		c.young, c.old = make(map[question]verified), c.young
	}
	c.young[q] = v
}
