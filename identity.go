package refrain

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"sync"
)

// An ID names an operation in a store: a keyed hash of its scope and key, so that a leaked store does not give away keys
// and no store can confuse two of them.
type ID [32]byte

// String returns the first 64 bits in hexadecimal, enough to find a record in logs; it cannot be turned back into a key.
func (id ID) String() string { return hex.EncodeToString(id[:8]) }

// identity turns operations into what a store may know of them.
type identity struct {
	hashers sync.Pool
}

// A hasher is a keyed hash with room for what goes in and what comes out, used again to save allocations.
type hasher struct {
	mac hash.Hash
	in  []byte
	out []byte
}

func newIdentity(secret []byte) *identity {
	secret = append([]byte("refrain/1\x00"), secret...)
	return &identity{hashers: sync.Pool{New: func() any { return &hasher{mac: hmac.New(sha256.New, secret)} }}}
}

// of returns the operation's ID and its fingerprint, both keyed: an unkeyed digest of a small body could be guessed.
func (i *identity) of(op *Operation) (ID, Fingerprint) {
	h := i.hashers.Get().(*hasher)
	defer i.hashers.Put(h)

	// Every part is length-prefixed: no delimiter trick makes two scopes meet.
	h.in = append(h.in[:0], 'i')
	h.in = appendString(h.in, op.Scope.Principal)
	h.in = appendString(h.in, op.Scope.Route)
	h.in = appendString(h.in, op.Key)
	id := ID(h.sum())

	h.in = append(append(h.in[:0], 'f'), op.Fingerprint[:]...)
	return id, Fingerprint(h.sum())
}

// sum returns the keyed hash of what is in.
func (h *hasher) sum() [sha256.Size]byte {
	h.mac.Reset()
	h.mac.Write(h.in)
	h.out = h.mac.Sum(h.out[:0])
	return [sha256.Size]byte(h.out)
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
