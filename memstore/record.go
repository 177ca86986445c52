package memstore

import (
	"time"

	"github.com/refrain-dev/refrain"
)

// A record is a refrain.Record in little memory, with only one pointer for the garbage collector to follow. Its times are
// since the store's epoch.
type record struct {
	state       refrain.State
	token       refrain.Token
	fence       uint64
	fingerprint refrain.Fingerprint
	created     time.Duration
	until       time.Duration // running: Lease; done and expired: Retain
	forget      time.Duration // done and expired: Forget
	outcome     *refrain.Outcome
}

func pack(r *refrain.Record, epoch time.Time) record {
	p := record{
		state: r.State, token: r.Token, fence: r.Fence, fingerprint: r.Fingerprint, created: r.Created.Sub(epoch),
		outcome: r.Outcome,
	}
	switch r.State {
	case refrain.StateRunning:
		p.until = r.Lease.Sub(epoch)
	case refrain.StateDone, refrain.StateExpired:
		p.until, p.forget = r.Retain.Sub(epoch), r.Forget.Sub(epoch)
	}
	return p
}

// unpack returns the record; that of nil is absent.
func (p *record) unpack(epoch time.Time) refrain.Record {
	if p == nil {
		return refrain.Record{}
	}
	r := refrain.Record{
		State: p.state, Token: p.token, Fence: p.fence, Fingerprint: p.fingerprint, Created: epoch.Add(p.created),
		Outcome: p.outcome,
	}
	switch p.state {
	case refrain.StateRunning:
		r.Lease = epoch.Add(p.until)
	case refrain.StateDone, refrain.StateExpired:
		r.Retain, r.Forget = epoch.Add(p.until), epoch.Add(p.forget)
	}
	return r
}

// due returns when the record's state changes by itself, if it is done or expired.
func (p *record) due() (at time.Duration, ends bool) {
	switch {
	case p == nil:
	case p.state == refrain.StateDone:
		return p.until, true
	case p.state == refrain.StateExpired:
		return p.forget, true
	}
	return 0, false
}

// recordOverhead is about what a record costs besides its outcome: with the map's entry and the agenda's.
const recordOverhead = 300

// size returns about what the record takes in memory; nil takes none.
func (p *record) size() int64 {
	if p == nil {
		return 0
	}
	return recordOverhead + int64(p.outcome.Size())
}
