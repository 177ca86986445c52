package pgstore

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/refrain-dev/refrain"
)

// Parameters and results travel in PostgreSQL's binary format, by hand: the calls are few and always the same.
const (
	oidBool, oidBools     = pgtype.BoolOID, pgtype.BoolArrayOID
	oidBytea, oidByteas   = pgtype.ByteaOID, pgtype.ByteaArrayOID
	oidShort, oidShorts   = pgtype.Int2OID, pgtype.Int2ArrayOID
	oidInt, oidInts       = pgtype.Int4OID, pgtype.Int4ArrayOID
	oidBigint, oidBigints = pgtype.Int8OID, pgtype.Int8ArrayOID
	oidUUID               = pgtype.UUIDOID
)

var binaryFormat = []int16{pgx.BinaryFormatCode}

// calls are the texts of the calls.
type calls struct{ claim, settle, renew, find, settleTx, list string }

func callsIn(schema string) calls {
	in := func(name string) string { return pgx.Identifier{schema, name}.Sanitize() }
	sightings := func(function, args string) string { return "SELECT " + in(function) + args } // one value each, quickly parsed
	return calls{
		claim:  sightings("claim", "($1, $2, $3, $4, $5, $6, $7)"),
		settle: sightings("settle", "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"),
		renew:  sightings("renew", "($1, $2, $3, $4, $5)"),
		find:   sightings("find", "($1, $2)"),
		list:   fmt.Sprintf(listQuery, in("known"), in("clock"), in("all_of_done")),
		settleTx: "SELECT written, at, live, k_token, fence, fingerprint, created, lease, retain, forget, " + asDurable + " FROM " +
			in("settle_tx") + "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
	}
}

// asDurable has the application's commit wait for no less than the store's own: everybody takes what it records for as durable.
const (
	asDurable = "CASE WHEN array_position(" + durable + ", current_setting('synchronous_commit')) < array_position(" + durable +
		", $13::text) THEN set_config('synchronous_commit', $13::text, true) END"
	durable = "ARRAY['off', 'local', 'remote_write', 'on', 'remote_apply']"
)

// params are the parameters of a call.
type params struct {
	values [][]byte
	oids   []uint32
}

func (p *params) add(oid uint32, value []byte) {
	p.values = append(p.values, value)
	p.oids = append(p.oids, oid)
}

func (p *params) formats() []int16 { return binaryFormat } // one for all

// An array is a parameter that has an element for each request of a group.
type array []byte

// newArray returns an array for n elements, which are added one after the other.
func newArray(element uint32, n int) array {
	b := make(array, 0, 20+n*20)
	b = binary.BigEndian.AppendUint32(b, 1) // dimension
	b = binary.BigEndian.AppendUint32(b, 1) // there may be nulls
	b = binary.BigEndian.AppendUint32(b, element)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	return binary.BigEndian.AppendUint32(b, 1) // the first index
}

func (a *array) null() { *a = binary.BigEndian.AppendUint32(*a, math.MaxUint32) }

func (a *array) bytes(v []byte) {
	*a = append(binary.BigEndian.AppendUint32(*a, uint32(len(v))), v...)
}

func (a *array) bool(v bool) {
	var b byte
	if v {
		b = 1
	}
	*a = append(binary.BigEndian.AppendUint32(*a, 1), b)
}

func (a *array) short(v int16) {
	*a = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(*a, 2), uint16(v))
}

func (a *array) int(v int32) {
	*a = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(*a, 4), uint32(v))
}

func (a *array) bigint(v int64) {
	*a = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(*a, 8), uint64(v))
}

// A sighting is a row of the type of that name: what a call shows of an operation, as it was before.
type sighting struct {
	n        int
	held     bool
	written  bool
	at       time.Time
	newFence uint64
	known    bool
	live     bool
	token    refrain.Token
	fence    uint64
	print    refrain.Fingerprint
	created  time.Time
	lease    time.Time
	retain   time.Time
	forget   time.Time
	kept     bool // there should be an outcome
	outcome  *refrain.Outcome
	misses   bool
}

// A row in binary format is the number of its columns, and for each its type, its length and its value.
const sightingColumns = 19

// columns returns the values in a row of so many columns. They share its memory.
func columns(row []byte) (v [sightingColumns][]byte, ok bool) {
	if len(row) < 4 || binary.BigEndian.Uint32(row) != sightingColumns {
		return v, false
	}
	row = row[4:]
	for i := range v {
		if len(row) < 8 {
			return v, false
		}
		n := int32(binary.BigEndian.Uint32(row[4:]))
		row = row[8:]
		if n < 0 { // null
			continue
		}
		if len(row) < int(n) {
			return v, false
		}
		v[i], row = row[:n:n], row[n:]
	}
	return v, true
}

// decode reads the row, which is one that makes no sense if it cannot be read. What is large is copied, for the row's memory is
// used again.
func (s *sighting) decode(row []byte) {
	*s = sighting{}
	v, ok := columns(row)
	if !ok {
		return
	}
	*s = sighting{
		n: int(integer(v[0])), held: truth(v[1]), written: truth(v[2]), at: moment(v[3]), newFence: uint64(integer(v[4])),
		kept: v[13] != nil, misses: truth(v[18]),
	}
	s.decodeRecord(v[5:13])
	if v[14] != nil {
		kept := slices.Concat(v[16], v[17]) // one allocation for both
		n := len(v[16])
		s.outcome = &refrain.Outcome{
			Status: int(int32(integer(v[14]))), Omitted: truth(v[15]), Meta: kept[:n:n], Body: kept[n:],
		}
	}
}

// decodeRecord reads the columns from live to forget.
func (s *sighting) decodeRecord(v [][]byte) {
	s.known, s.live, s.fence = v[0] != nil, truth(v[0]), uint64(integer(v[2]))
	s.created, s.lease, s.retain, s.forget = moment(v[4]), moment(v[5]), moment(v[6]), moment(v[7])
	copy(s.token[:], v[1])
	copy(s.print[:], v[3])
}

// record returns the record that was seen. One whose outcome is lost cannot be read.
func (s *sighting) record() refrain.Record {
	r := refrain.Record{
		State: refrain.StateDone, Token: s.token, Fence: s.fence, Fingerprint: s.print, Created: s.created,
		Lease: s.lease, Outcome: s.outcome,
	}
	switch {
	case !s.known:
		return refrain.Record{}
	case s.live && s.lease.IsZero():
		r.State = refrain.StateUnknown
	case s.live:
		r.State = refrain.StateRunning
	case s.kept && s.outcome == nil:
		return refrain.Unreadable()
	default:
		r.Retain, r.Forget = s.retain, s.forget
	}
	return r
}

func bigEndian(v int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

func truth(b []byte) bool { return len(b) == 1 && b[0] == 1 }

// integer returns a signed number of any width, zero for null.
func integer(b []byte) int64 {
	switch len(b) {
	case 4:
		return int64(int32(binary.BigEndian.Uint32(b)))
	case 8:
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// since1970 is the beginning of PostgreSQL's time.
const since1970 = 946684800 * 1_000_000 // microseconds

func moment(b []byte) time.Time {
	if len(b) != 8 {
		return time.Time{}
	}
	return time.UnixMicro(integer(b) + since1970).UTC()
}
