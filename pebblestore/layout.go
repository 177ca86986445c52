package pebblestore

import (
	"fmt"

	"github.com/refrain-dev/refrain"
)

// The keys of the database, by their first byte:
//
//	e                 the epoch of the fences, 8 bytes: how often the store was opened
//	l <ID>            a running claim: its record
//	h <generation><ID>  an ended operation: the generation of its outcome, and its record without the outcome
//	o <generation><ID>  the outcome: the whole record
//
// An operation has at most one key of l and h together, so that the first that is found is the one.
const (
	prefixEpoch    = 'e'
	prefixRunning  = 'l'
	prefixHead     = 'h'
	prefixOutcome  = 'o'
	idSize         = len(refrain.ID{})
	keySize        = 1 + generationSize + idSize
	runningKeySize = 1 + idSize
)

var epochKey = []byte{prefixEpoch}

// appendKey appends the key of a head or an outcome.
func appendKey(b []byte, prefix byte, g generation, id refrain.ID) []byte {
	return append(g.append(append(b, prefix)), id[:]...)
}

// rangeOf returns the bounds of the keys of a generation.
func rangeOf(prefix byte, g generation) (start, end []byte) {
	return g.append([]byte{prefix}), g.next().append([]byte{prefix})
}

func appendRunningKey(b []byte, id refrain.ID) []byte { return append(append(b, prefixRunning), id[:]...) }

// A stored is a record and where the disk has it.
type stored struct {
	refrain.Record
	running bool       // under l
	head    generation // under h, if not none
	outcome generation // where its outcome is, if not none
}

// appendHead appends the value of the record's head, whose outcome is in the generation, or has none.
func appendHead(b []byte, id refrain.ID, r refrain.Record, outcome generation) []byte {
	r.Outcome = nil
	return refrain.AppendRecord(outcome.append(b), id, r)
}

// decodeHead decodes what appendHead appended. What cannot be decoded is unreadable.
func decodeHead(id refrain.ID, head generation, value []byte) (stored, error) {
	s := stored{Record: refrain.Unreadable(), head: head}
	if len(value) < generationSize {
		return s, fmt.Errorf("%w: its head has %d bytes", refrain.ErrUnreadable, len(value))
	}
	r, err := refrain.DecodeRecord(id, value[generationSize:])
	if err != nil {
		return s, err
	}
	s.Record, s.outcome = r, decodeGeneration(value)
	return s, nil
}
