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
	macs sync.Pool
}

func newIdentity(secret []byte) *identity {
	secret = append([]byte("refrain/1\x00"), secret...)
	return &identity{macs: sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }}}
}

// of returns the operation's ID and its fingerprint, both keyed: an unkeyed digest of a small body could be guessed.
func (i *identity) of(op *Operation) (ID, Fingerprint) {
	mac := i.macs.Get().(hash.Hash)
	defer i.macs.Put(mac)

	var id ID
	var fp Fingerprint
	var room [512]byte
	// Every part is length-prefixed: no delimiter trick makes two scopes meet.
	b := append(room[:0], 'i')
	b = appendString(b, op.Scope.Principal)
	b = appendString(b, op.Scope.Route)
	b = appendString(b, op.Key)
	mac.Reset()
	mac.Write(b)
	mac.Sum(id[:0])

	b = append(append(b[:0], 'f'), op.Fingerprint[:]...)
	mac.Reset()
	mac.Write(b)
	mac.Sum(fp[:0])
	return id, fp
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
