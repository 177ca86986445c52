package refrain

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// ErrUnreadable says that stored bytes are not a record of this operation in a version that this program knows. What they
// stood for is unknown, never absent: see [Unreadable].
var ErrUnreadable = errors.New("unreadable record")

// recordVersion is the first byte of an encoded record. A change of the layout takes the next number, and decoding goes on
// reading the older ones.
const recordVersion = 1

const (
	recordHead    = 1 + 1 + 1 + 16 + 8 + 32 + 4*8 // version, state, flags, token, fence, fingerprint, four times
	checksumSize  = 4
	flagOutcome   = 1 << 0
	flagOmitted   = 1 << 1
	outcomePrefix = 4 + 4 // status, length of the metadata
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendRecord appends the record's encoding to b. The checksum at its end covers the ID too, so that a record found under
// another's name does not decode.
func AppendRecord(b []byte, id ID, r Record) []byte {
	start := len(b)
	var flags byte
	if r.Outcome != nil {
		flags |= flagOutcome
		if r.Outcome.Omitted {
			flags |= flagOmitted
		}
	}
	b = append(b, recordVersion, byte(r.State), flags)
	b = append(b, r.Token[:]...)
	b = binary.LittleEndian.AppendUint64(b, r.Fence)
	b = append(b, r.Fingerprint[:]...)
	for _, t := range [...]time.Time{r.Created, r.Lease, r.Retain, r.Forget} {
		b = appendTime(b, t)
	}
	if r.Outcome != nil {
		b = appendOutcome(b, r.Outcome)
	}
	return binary.LittleEndian.AppendUint32(b, checksum(id, b[start:]))
}

// DecodeRecord decodes what AppendRecord appended for the same ID. The record's outcome shares b's memory.
func DecodeRecord(id ID, b []byte) (Record, error) {
	if len(b) < recordHead+checksumSize {
		return Record{}, fmt.Errorf("%w: %d bytes are too few", ErrUnreadable, len(b))
	}
	b, sum := b[:len(b)-checksumSize], binary.LittleEndian.Uint32(b[len(b)-checksumSize:])
	if checksum(id, b) != sum {
		return Record{}, fmt.Errorf("%w: the checksum is wrong", ErrUnreadable)
	}
	if b[0] != recordVersion {
		return Record{}, fmt.Errorf("%w: version %d is newer than this program", ErrUnreadable, b[0])
	}
	r := Record{State: State(b[1])}
	flags := b[2]
	if r.State == StateAbsent || r.State > StateExpired || flags > flagOutcome|flagOmitted || flags == flagOmitted {
		return Record{}, fmt.Errorf("%w: state %d, flags %#x", ErrUnreadable, b[1], flags)
	}
	b = b[3:]
	b = b[copy(r.Token[:], b):]
	r.Fence, b = binary.LittleEndian.Uint64(b), b[8:]
	b = b[copy(r.Fingerprint[:], b):]
	for _, t := range [...]*time.Time{&r.Created, &r.Lease, &r.Retain, &r.Forget} {
		*t, b = decodeTime(b), b[8:]
	}
	if flags&flagOutcome == 0 {
		if len(b) != 0 {
			return Record{}, fmt.Errorf("%w: %d bytes too many", ErrUnreadable, len(b))
		}
		return r, nil
	}
	o, err := decodeOutcome(b)
	if err != nil {
		return Record{}, err
	}
	o.Omitted = flags&flagOmitted != 0
	r.Outcome = o
	return r, nil
}

func appendOutcome(b []byte, o *Outcome) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(o.Status))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(o.Meta)))
	b = append(b, o.Meta...)
	return append(b, o.Body...)
}

func decodeOutcome(b []byte) (*Outcome, error) {
	if len(b) < outcomePrefix {
		return nil, fmt.Errorf("%w: its outcome is cut short", ErrUnreadable)
	}
	o := &Outcome{Status: int(int32(binary.LittleEndian.Uint32(b)))}
	meta := binary.LittleEndian.Uint32(b[4:])
	b = b[outcomePrefix:]
	if uint64(meta) > uint64(len(b)) {
		return nil, fmt.Errorf("%w: its metadata is cut short", ErrUnreadable)
	}
	o.Meta, o.Body = b[:meta:meta], b[meta:]
	return o, nil
}

// appendTime appends t in microseconds since 1970, the zero time as zero.
func appendTime(b []byte, t time.Time) []byte {
	var us int64
	if !t.IsZero() {
		us = t.UnixMicro()
	}
	return binary.LittleEndian.AppendUint64(b, uint64(us))
}

func decodeTime(b []byte) time.Time {
	us := int64(binary.LittleEndian.Uint64(b))
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func checksum(id ID, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(id[:], castagnoli), castagnoli, b)
}
