package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/refrain-dev/refrain"
)

// A frame is one entry of the file: a prefix, then kind, ID, durations, route and record. The prefix is the length of the
// rest, a checksum of that length, and a checksum of the rest.
type frame struct {
	kind  byte
	entry refrain.JournalEntry
}

const (
	kindAppend = 1
	kindRemove = 2

	prefixSize = 12
	fixedSize  = 1 + 32 + 8 + 8 + 2 // kind, ID, retention, tombstone, length of the route
)

// errTorn says that the frame runs to the end of the file and is not whole.
var errTorn = errors.New("cut short")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeFrame(f frame) []byte {
	var prefix [prefixSize]byte // filled in at the end
	b := append(prefix[:], f.kind)
	b = append(b, f.entry.ID[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(f.entry.Retention))
	b = binary.LittleEndian.AppendUint64(b, uint64(f.entry.Tombstone))
	route := f.entry.Route[:min(len(f.entry.Route), 1<<16-1)]
	b = binary.LittleEndian.AppendUint16(b, uint16(len(route)))
	b = append(b, route...)
	b = refrain.AppendRecord(b, f.entry.ID, f.entry.Record)
	payload := b[prefixSize:]
	binary.LittleEndian.PutUint32(b, uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[:4], castagnoli))
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(payload, castagnoli))
	return b
}

// decodeFrame decodes the frame at the start of b and returns how many bytes it takes. A frame that a crash cut short is
// errTorn: it ends with the file, or the file had grown and its last bytes had not arrived.
func decodeFrame(b []byte) (f frame, n int, err error) {
	if len(b) < prefixSize || allZero(b[prefixSize:]) { // no entry is all zeros
		return f, 0, errTorn
	}
	if crc32.Checksum(b[:4], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return f, 0, errors.New("wrong checksum of a length")
	}
	size := int64(binary.LittleEndian.Uint32(b))
	if size > int64(len(b)-prefixSize) {
		return f, 0, errTorn
	}
	n = prefixSize + int(size)
	payload := b[prefixSize:n]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(b[8:]) {
		if n == len(b) {
			return f, 0, errTorn
		}
		return f, 0, errors.New("wrong checksum")
	}
	f, err = decodePayload(payload)
	return f, n, err
}

func decodePayload(b []byte) (f frame, err error) {
	if len(b) < fixedSize {
		return f, fmt.Errorf("%d bytes are too few", len(b))
	}
	f.kind = b[0]
	copy(f.entry.ID[:], b[1:])
	b = b[33:]
	f.entry.Retention = time.Duration(binary.LittleEndian.Uint64(b))
	f.entry.Tombstone = time.Duration(binary.LittleEndian.Uint64(b[8:]))
	route := int(binary.LittleEndian.Uint16(b[16:]))
	b = b[18:]
	if f.kind != kindAppend && f.kind != kindRemove || route > len(b) {
		return f, fmt.Errorf("kind %d, route of %d bytes", f.kind, route)
	}
	f.entry.Route = string(b[:route])
	f.entry.Record, err = refrain.DecodeRecord(f.entry.ID, b[route:])
	return f, err
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
