package redisstore

import (
	"crypto/sha1" //nolint:gosec // what Redis has for a checksum
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"time"

	"github.com/refrain-dev/refrain"
)

// A record is a string of 99 bytes, all numbers in it with the greatest byte first:
//
//	 0  1  version: 1
//	 1  1  state: running, unknown or done
//	 2  1  1 if it has an outcome, 2 if somebody waits for its end
//	 3 16  token
//	19 32  fingerprint
//	51  8  fence
//	59  8  created, and then lease, retain and forget, in microseconds since 1970, 0 if there is none
//	91  8  the first digits of the SHA-1 of the key and what is before
//
// The outcome is a string of its own, so that it can expire before the record does.
const (
	recordSize    = 99
	recordSum     = 91
	recordVersion = 1
)

// An answer is what a script returns.
type answer struct {
	now     time.Time
	code    int64
	key     string // of the record
	head    string
	exists  bool
	outcome string // empty: none
}

// record decodes the record, as it was written but for an outcome that is not kept any more.
func (a *answer) record(id *refrain.ID) refrain.Record {
	if !a.exists {
		return refrain.Record{}
	}
	r, kept, ok := decodeRecord(a.key, a.head)
	if !ok {
		return refrain.Unreadable()
	}
	if now := r.At(a.now).State; kept && (now == refrain.StateDone || now == refrain.StateUnknown) {
		if r.Outcome, ok = decodeOutcome(id, &r.Token, a.outcome); !ok {
			return refrain.Unreadable()
		}
	}
	return r
}

func decodeRecord(key, s string) (r refrain.Record, kept, ok bool) {
	if len(s) != recordSize || s[0] != recordVersion || s[recordSum:] != sum(key, s[:recordSum]) {
		return r, false, false
	}
	b := []byte(s)
	r.State, kept = refrain.State(b[1]), b[2]&1 == 1
	copy(r.Token[:], b[3:])
	copy(r.Fingerprint[:], b[19:])
	r.Fence = binary.BigEndian.Uint64(b[51:])
	for i, t := range [...]*time.Time{&r.Created, &r.Lease, &r.Retain, &r.Forget} {
		if us := binary.BigEndian.Uint64(b[59+8*i:]); us != 0 {
			*t = at(int64(us))
		}
	}
	return r, kept, r.State == refrain.StateRunning || r.State == refrain.StateUnknown || r.State == refrain.StateDone
}

func sum(key, head string) string {
	var room [256]byte
	digest := sha1.Sum(append(append(room[:0], key...), head...)) //nolint:gosec // as above
	return hex.EncodeToString(digest[:4])
}

// at returns a time of the server's clock.
func at(us int64) time.Time { return time.UnixMicro(us).UTC() }

// An outcome is
//
//	0 1  1 if its body is omitted
//	1 4  status
//	5 4  length of the metadata, which follow, and then the body
//	  4  CRC-32C of the operation's ID, the token that it was finished with, and what is before
const outcomeHead, outcomeSum = 9, 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeOutcome(id *refrain.ID, token *refrain.Token, o *refrain.Outcome) []byte {
	if o == nil {
		o = &refrain.Outcome{}
	}
	b := make([]byte, 0, outcomeHead+len(o.Meta)+len(o.Body)+outcomeSum)
	var omitted byte
	if o.Omitted {
		omitted = 1
	}
	b = append(b, omitted)
	b = binary.BigEndian.AppendUint32(b, uint32(o.Status))
	b = binary.BigEndian.AppendUint32(b, uint32(len(o.Meta)))
	b = append(append(b, o.Meta...), o.Body...)
	return binary.BigEndian.AppendUint32(b, outcomeCRC(id, token, b))
}

func decodeOutcome(id *refrain.ID, token *refrain.Token, s string) (*refrain.Outcome, bool) {
	if len(s) < outcomeHead+outcomeSum {
		return nil, false
	}
	b := []byte(s)
	b, crc := b[:len(b)-outcomeSum], binary.BigEndian.Uint32(b[len(b)-outcomeSum:])
	meta := uint64(binary.BigEndian.Uint32(b[5:])) + outcomeHead
	if crc != outcomeCRC(id, token, b) || meta > uint64(len(b)) {
		return nil, false
	}
	return &refrain.Outcome{
		Omitted: b[0] == 1, Status: int(int32(binary.BigEndian.Uint32(b[1:]))), Meta: b[outcomeHead:meta:meta], Body: b[meta:],
	}, true
}

func outcomeCRC(id *refrain.ID, token *refrain.Token, b []byte) uint32 {
	crc := crc32.Update(crc32.Checksum(id[:], castagnoli), castagnoli, token[:])
	return crc32.Update(crc, castagnoli, b)
}
