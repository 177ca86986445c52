package memstore

import (
	"time"

	"github.com/refrain-dev/refrain"
)

// A record is a refrain.Record in little memory: small enough for a map to hold it in place, and with few pointers for the
// garbage collector to follow.
type record struct {
	state       refrain.State
	token       refrain.Token
	fence       uint64
	fingerprint refrain.Fingerprint
	created     time.Time
	until       time.Duration // since created; running: Lease, done and expired: Retain
	forget      time.Duration // since created; done and expired: Forget
	outcome     *refrain.Outcome
}

func pack(r *refrain.Record) record {
	p := record{
		state: r.State, token: r.Token, fence: r.Fence, fingerprint: r.Fingerprint, created: r.Created, outcome: r.Outcome,
	}
	switch r.State {
	case refrain.StateRunning:
		p.until = r.Lease.Sub(r.Created)
	case refrain.StateDone, refrain.StateExpired:
		p.until, p.forget = r.Retain.Sub(r.Created), r.Forget.Sub(r.Created)
	}
	return p
}

func (p *record) unpack() refrain.Record {
	r := refrain.Record{
		State: p.state, Token: p.token, Fence: p.fence, Fingerprint: p.fingerprint, Created: p.created, Outcome: p.outcome,
	}
	switch p.state {
	case refrain.StateRunning:
		r.Lease = p.created.Add(p.until)
	case refrain.StateDone, refrain.StateExpired:
		r.Retain, r.Forget = p.created.Add(p.until), p.created.Add(p.forget)
	}
	return r
}

// recordOverhead is about what a record costs besides its outcome: the map's entry and the agenda's.
const recordOverhead = 300

func (p *record) size() int64 {
	if p.state == refrain.StateAbsent {
		return 0
	}
	return recordOverhead + int64(p.outcome.Size())
}
