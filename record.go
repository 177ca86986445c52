package refrain

import (
	"crypto/rand"
	"log/slog"
	"time"
)

// A State is where an operation stands. The zero State is that of an operation nobody knows of.
type State uint8

// The states of an operation.
const (
	StateAbsent  State = iota
	StateRunning       // claimed; the owner works on it
	StateUnknown       // the effect may or may not have happened
	StateDone          // the outcome is recorded
	StateExpired       // done, but the outcome is kept no longer: a tombstone
)

func (s State) String() string {
	return [...]string{"absent", "running", "unknown", "done", "expired"}[s]
}

// LogValue implements slog.LogValuer: logs of any format show what String returns.
func (s State) LogValue() slog.Value { return slog.StringValue(s.String()) }

// A Token is the secret of one claim: random, 128 bits. Only the holder of the newest token may end or renew the claim.
type Token [16]byte

// NewToken returns a fresh random token.
func NewToken() Token {
	var t Token
	_, _ = rand.Read(t[:]) // never fails since Go 1.24
	return t
}

// A Record is what a store knows of one operation. The zero Record is that of an absent one.
//
// Its meaning never depends on today's configuration: the times are absolute, by the store's clock.
type Record struct {
	State       State
	Token       Token       // of the newest claim
	Fence       uint64      // of the newest claim; only grows
	Fingerprint Fingerprint // keyed, with its version in front
	Created     time.Time   // when the newest claim was made
	Lease       time.Time   // running: when the claim lapses unless renewed
	Retain      time.Time   // done: how long the outcome is replayed
	Forget      time.Time   // done: how long after that the key is still known as used
	Outcome     *Outcome    // done: the answer; unknown: an answer that does not tell, or nil
}

// An Outcome is the recorded answer of an operation. It never changes once recorded, so holders share it and must not
// write to it.
type Outcome struct {
	Status int    // the protocol's own code: an HTTP status, zero for functions
	Meta   []byte // the protocol's own metadata: encoded headers
	Body   []byte
	// Omitted says that the operation is done but that its body was not kept.
	Omitted bool
}

// Size returns about how many bytes the outcome takes in memory.
func (o *Outcome) Size() int {
	if o == nil {
		return 0
	}
	return 64 + len(o.Meta) + len(o.Body)
}

// Unreadable returns the record that stands for one that is there but cannot be read. It is unknown, never absent, and no
// token can settle it.
func Unreadable() Record { return Record{State: StateUnknown} }

func (r *Record) unreadable() bool { return r.State == StateUnknown && r.Token == Token{} }

// At returns the record as it stands at now: a lapsed claim is unknown, an outcome past its retention is a tombstone, and
// a tombstone past its time is absent.
func (r Record) At(now time.Time) Record {
	switch {
	case r.State == StateRunning && !now.Before(r.Lease):
		r.State = StateUnknown
	case (r.State == StateDone || r.State == StateExpired) && !now.Before(r.Forget):
		return Record{}
	case r.State == StateDone && !now.Before(r.Retain):
		r.State, r.Outcome = StateExpired, nil
	}
	return r
}
