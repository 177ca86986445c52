package refrain

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
)

// An ID names an operation in a store: a keyed hash of its scope and key, so that a leaked store does not give away keys
// and no store can confuse two of them.
type ID [32]byte

// String returns the first 64 bits in hexadecimal, enough to find a record in logs; it cannot be turned back into a key.
func (id ID) String() string { return hex.EncodeToString(id[:8]) }

// LogValue implements slog.LogValuer: logs of any format show what String returns.
func (id ID) LogValue() slog.Value { return slog.StringValue(id.String()) }

// identity turns operations into what a store may know of them, by SHA-256 with a secret in front. Nobody can use that a
// digest can be extended by bytes behind it: no name is the beginning of another, and all fingerprints are of one length.
type identity struct {
	name        [sha256.Size]byte
	mark        [sha256.Size]byte
	fingerprint [23]byte // with a fingerprint behind it, the most that SHA-256 takes in one block
}

func newIdentity(secret []byte) *identity {
	i := &identity{}
	derive := func(purpose string) []byte {
		mac := hmac.New(sha256.New, append([]byte("refrain/2\x00"), secret...))
		mac.Write([]byte(purpose))
		return mac.Sum(nil)
	}
	copy(i.name[:], derive("name"))
	copy(i.mark[:], derive("mark"))
	copy(i.fingerprint[:], derive("fingerprint"))
	return i
}

// of returns the operation's ID and its fingerprint, both keyed: an unkeyed digest of a small body could be guessed.
func (i *identity) of(op *Operation) (ID, Fingerprint) {
	return i.id(op), i.digest(&op.Fingerprint, op.FingerprintVersion)
}

func (i *identity) id(op *Operation) ID {
	var room [256]byte
	b := i.names(room[:0], &op.Scope)
	if op.Key == "" {
		return sha256.Sum256(appendString(b, op.KeyBytes))
	}
	return sha256.Sum256(appendString(b, op.Key))
}

// names appends what the names of a scope's operations begin with, before their keys. Every part is length-prefixed: no
// delimiter trick makes two scopes meet.
func (i *identity) names(b []byte, s *Scope) []byte {
	b = append(b, i.name[:]...)
	b = appendString(b, s.Principal)
	return appendString(b, s.Route)
}

// digest returns the fingerprint as it is recorded.
func (i *identity) digest(fp *Fingerprint, version uint8) Fingerprint {
	var block [len(i.fingerprint) + len(fp)]byte
	copy(block[copy(block[:], i.fingerprint[:]):], fp[:])
	sum := Fingerprint(sha256.Sum256(block[:]))
	sum[0] = version
	return sum
}

// marks returns the IDs of the two records of a scope's mark. No operation has them.
func (i *identity) marks(s *Scope) (ids [2]ID) {
	in := appendString(append([]byte{}, i.mark[:]...), s.Principal)
	in = appendString(in, s.Route)
	for slot := range ids {
		ids[slot] = sha256.Sum256(append(in, byte(slot)))
	}
	return ids
}

func appendString[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
