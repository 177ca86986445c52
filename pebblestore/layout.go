package pebblestore

import (
	"encoding/binary"
	"fmt"

	"github.com/refrain-dev/refrain"
)

// The keys of the database, by their first byte:
//
//	e                       the epoch of the fences, 8 bytes: how often the store was opened
//	l <fence> <ID>          a running claim: its record
//	h <generation> <ID>     an ended operation: the key of its outcome, and its record without the outcome
//	o <generation> <number> the outcome: the whole record
//
// An operation has at most one key of l and h together, so that the first that is found is the one. Fences and numbers grow,
// they are one sequence: what is keyed by them is written in order, so that Pebble need not merge it with what is there, and
// no key of l or o is written twice.
const (
	prefixEpoch    = 'e'
	prefixRunning  = 'l'
	prefixHead     = 'h'
	prefixOutcome  = 'o'
	numberSize     = 8
	idSize         = len(refrain.ID{})
	runningKeySize = 1 + numberSize + idSize
	headKeySize    = 1 + generationSize + idSize
	outcomeKeySize = 1 + placeSize
)

var epochKey = []byte{prefixEpoch}

func appendRunningKey(b []byte, fence uint64, id refrain.ID) []byte {
	return append(binary.BigEndian.AppendUint64(append(b, prefixRunning), fence), id[:]...)
}

func appendHeadKey(b []byte, g generation, id refrain.ID) []byte {
	return append(g.append(append(b, prefixHead)), id[:]...)
}

func appendOutcomeKey(b []byte, p place) []byte { return p.append(append(b, prefixOutcome)) }

// A place is where an outcome is: the number that it has in a generation. The zero place is nowhere.
type place struct {
	generation
	number uint64
}

const placeSize = generationSize + numberSize

func (p place) append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(p.generation.append(b), p.number)
}

// decodePlace decodes what append appended to the front of b.
func decodePlace(b []byte) place {
	return place{decodeGeneration(b), binary.BigEndian.Uint64(b[generationSize:])}
}

// rangeOf returns the bounds of the keys of a generation.
func rangeOf(prefix byte, g generation) (start, end []byte) {
	return g.append([]byte{prefix}), g.next().append([]byte{prefix})
}

// A stored is a record and where the disk has it.
type stored struct {
	refrain.Record
	running bool       // under l
	head    generation // under h, if not none
	outcome place      // under o, if not nowhere
}

// appendHead appends the value of the record's head.
func appendHead(b []byte, id refrain.ID, r refrain.Record, outcome place) []byte {
	r.Outcome = nil
	return refrain.AppendRecord(outcome.append(b), id, r)
}

// decodeHead decodes what appendHead appended. What cannot be decoded is unreadable.
func decodeHead(id refrain.ID, head generation, value []byte) (stored, error) {
	s := stored{Record: refrain.Unreadable(), head: head}
	if len(value) < placeSize {
		return s, fmt.Errorf("%w: its head has %d bytes", refrain.ErrUnreadable, len(value))
	}
	r, err := refrain.DecodeRecord(id, value[placeSize:])
	if err != nil {
		return s, err
	}
	s.Record, s.outcome = r, decodePlace(value)
	return s, nil
}
