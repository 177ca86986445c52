package mysqlstore

import (
	"database/sql"
	"time"

	"github.com/refrain-dev/refrain"
)

// stateReleased is that of a row of refrain_live whose operation is absent: it keeps the fence.
const stateReleased = 0

// A row is what one of the tables has of an operation.
type row struct {
	done    bool // it is of refrain_done
	state   uint8
	record  refrain.Record
	settled time.Time
	bucket  bucket
	kept    bucket
	stored  []byte // the outcome as it is kept, or nil
	bad     bool   // it cannot be read
}

// scan reads the row that stands next.
func (r *row) scan(rows *sql.Rows) (id refrain.ID, err error) {
	var key, token, fingerprint []byte
	var created, lease, settled, retain, forget int64
	err = rows.Scan(&r.done, &key, &r.state, &token, &r.record.Fence, &fingerprint, &created, &lease, &settled, &retain, &forget,
		&r.bucket, &r.kept, &r.stored)
	if err != nil {
		return id, err
	}
	copy(id[:], key)
	copy(r.record.Token[:], token)
	copy(r.record.Fingerprint[:], fingerprint)
	r.bad = len(key) != len(id) || len(token) != len(r.record.Token) || len(fingerprint) != len(r.record.Fingerprint)
	r.record.Created, r.record.Lease, r.settled = at(created), at(lease), at(settled)
	r.record.Retain, r.record.Forget = at(retain), at(forget)
	switch {
	case r.done:
		r.record.State = refrain.StateDone
	case r.state == stateReleased:
	case refrain.State(r.state) == refrain.StateRunning, refrain.State(r.state) == refrain.StateUnknown:
		r.record.State = refrain.State(r.state)
	default:
		r.bad = true
	}
	return id, nil
}

// A found is what the tables have of one operation at one moment.
type found struct {
	id   refrain.ID
	now  time.Time
	live *row // also if it is released
	done *row // the newest
	rows int  // of refrain_done that are not over
}

// add adds a row.
func (f *found) add(r *row) {
	switch {
	case !r.done:
		f.live = r
	case f.done == nil || r.record.Fence > f.done.record.Fence:
		f.done = r
	}
	if r.done && f.now.Before(r.record.Forget) {
		f.rows++
	}
}

// current returns the row that counts, or nil if the operation is absent.
func (f *found) current() *row {
	switch {
	case f.done != nil && f.now.Before(f.done.record.Forget):
		return f.done
	case f.live != nil && f.live.state != stateReleased:
		return f.live
	}
	return nil
}

// head returns the operation's record as of the moment, without its outcome. One that cannot be read, or that contradicts
// itself, is unknown.
func (f *found) head() refrain.Record {
	r := f.current()
	switch {
	case r == nil:
		return refrain.Record{}
	case r.bad, f.rows > 1, r.done && f.live != nil && f.live.state != stateReleased:
		return refrain.Unreadable()
	}
	return r.record.At(f.now)
}

// record returns the operation's record as of the moment.
func (f *found) record() refrain.Record {
	r, now := f.current(), f.head()
	if now.Token == (refrain.Token{}) || r.done && now.State != refrain.StateDone || r.stored == nil && !r.done {
		return now
	}
	kept, err := refrain.DecodeRecord(f.id, r.stored)
	if err != nil || kept.Outcome == nil || kept.Fence != r.record.Fence {
		return refrain.Unreadable()
	}
	now.Outcome = kept.Outcome
	return now
}

// stored returns an outcome as it is kept: as a record, whose checksum covers the operation too.
func stored(id refrain.ID, r *refrain.Record) []byte { return appendStored(nil, id, r) }

func appendStored(b []byte, id refrain.ID, r *refrain.Record) []byte {
	return refrain.AppendRecord(b, id, refrain.Record{State: r.State, Token: r.Token, Fence: r.Fence, Outcome: r.Outcome})
}
