package proxy

import (
	"crypto/sha256"
	"sync"
)

// repeatMemory bounds the answers, in bytes, that one Memory can repeat.
const repeatMemory = 8 << 20

// repeats are answers by the digest of the bytes that ask for them: what was sent once is neither parsed nor put together
// again.
//
// They are bounded. When they are full, a random one goes for each that comes: a round of more than there is room for then
// keeps what does fit.
type repeats struct {
	shards [16]repeatShard
	limit  int // of each shard, in bytes
}

type repeatShard struct {
	mu       sync.Mutex
	byDigest map[[sha256.Size]byte]*repeat
	bytes    int
}

// A repeat is an answer that can be given again.
type repeat struct {
	again   func() bool // reports whether it still is the answer, and counts it as given
	request int         // how long the request is, parts of which again holds
	answer  []byte
	date    int // where in the answer its date is
}

// repeatOverhead is about what else a repeat takes in memory, with its place in the map.
const repeatOverhead = 512

func (r *repeat) size() int { return repeatOverhead + r.request + len(r.answer) }

func newRepeats(limit int) *repeats {
	c := &repeats{}
	c.limit = limit / len(c.shards)
	for i := range c.shards {
		c.shards[i].byDigest = make(map[[sha256.Size]byte]*repeat)
	}
	return c
}

func (c *repeats) shard(digest *[sha256.Size]byte) *repeatShard {
	return &c.shards[digest[0]%uint8(len(c.shards))]
}

// find returns the answer to the bytes of that digest, or nil.
func (c *repeats) find(digest *[sha256.Size]byte) *repeat {
	sh := c.shard(digest)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.byDigest[*digest]
}

// keep takes the answer to the bytes of that digest.
func (c *repeats) keep(digest *[sha256.Size]byte, r *repeat) {
	if r.size() > c.limit/8 {
		return
	}
	sh := c.shard(digest)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.drop(digest)
	sh.byDigest[*digest] = r
	sh.bytes += r.size()
	for other := range sh.byDigest { // begins anywhere
		if sh.bytes <= c.limit {
			return
		}
		if other != *digest {
			sh.drop(&other)
		}
	}
}

// drop forgets the answer to the bytes of that digest.
func (c *repeats) drop(digest *[sha256.Size]byte) {
	sh := c.shard(digest)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.drop(digest)
}

func (sh *repeatShard) drop(digest *[sha256.Size]byte) {
	if old := sh.byDigest[*digest]; old != nil {
		delete(sh.byDigest, *digest)
		sh.bytes -= old.size()
	}
}
