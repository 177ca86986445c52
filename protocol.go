package refrain

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// A Verdict is the answer to an attempt.
type Verdict uint8

// The verdicts. An attempt gets exactly one.
const (
	Run      Verdict = iota + 1 // the caller owns the claim and executes
	Replay                      // done: give the recorded outcome
	InFlight                    // another attempt is executing
	Mismatch                    // the key was used with another fingerprint
	Unknown                     // whether the effect happened is not known
	Expired                     // it was processed, but the outcome is no longer kept
)

func (v Verdict) String() string {
	return [...]string{"none", "run", "replay", "in-flight", "mismatch", "unknown", "expired"}[v]
}

// A Claim asks for the exclusive right to execute an operation.
type Claim struct {
	ID          ID
	Token       Token // of this attempt, never zero; a repeated claim recognises itself by it
	Fingerprint Fingerprint
	Lease       time.Duration
	// Rerun lets the claim take over an operation whose outcome is unknown.
	Rerun bool
}

// A Decision is a store's answer to a Claim: the verdict and the record it rests on, as of the store's clock. The record
// is durable.
type Decision struct {
	Verdict Verdict
	Record  Record
	Now     time.Time
}

// check reports whether the decision answers the claim. A store that is out of its mind must not make anybody run.
func (d *Decision) check(c *Claim) error {
	r := &d.Record
	switch {
	case d.Verdict == Run && r.State == StateRunning && r.Token == c.Token:
	case d.Verdict == Replay && r.Outcome == nil:
		return errors.New("the store's answer makes no sense: a replay without an outcome")
	case d.Verdict == Run, r.State == StateAbsent, r.State > StateExpired, r.Judge(c.Fingerprint) != d.Verdict:
		return fmt.Errorf("the store's answer makes no sense: verdict %d on a record in state %d", d.Verdict, r.State)
	}
	return nil
}

// Apply decides what the claim makes of the record cur at the store's time now. If the claim wins anew, written is true
// and the decision's record must be durable before anyone is told. Fence must be greater than any fence that this
// operation had before.
func (c Claim) Apply(cur Record, now time.Time, fence uint64) (d Decision, written bool) {
	cur = cur.At(now)
	switch {
	case cur.State == StateAbsent, c.takesOver(&cur):
		next := Record{
			State: StateRunning, Token: c.Token, Fence: fence, Fingerprint: c.Fingerprint,
			Created: now, Lease: now.Add(c.Lease),
		}
		return Decision{Verdict: Run, Record: next, Now: now}, true
	case cur.State == StateRunning && cur.Token == c.Token:
		return Decision{Verdict: Run, Record: cur, Now: now}, false
	}
	return Decision{Verdict: cur.Judge(c.Fingerprint), Record: cur, Now: now}, false
}

// takesOver reports whether the claim may execute an operation whose outcome is unknown: the policy says so, it is the same
// request, and the record can be read.
func (c *Claim) takesOver(cur *Record) bool {
	return cur.State == StateUnknown && c.Rerun && !cur.unreadable() && cur.Fingerprint == c.Fingerprint
}

// Judge returns the verdict on an attempt with the given fingerprint that does not get the claim. The record must be as of
// now and not absent. Mismatch is decided before everything else.
func (r *Record) Judge(fp Fingerprint) Verdict {
	switch {
	case !r.unreadable() && r.Fingerprint != fp:
		return Mismatch
	case r.State == StateDone:
		return Replay
	case r.State == StateExpired:
		return Expired
	case r.State == StateRunning:
		return InFlight
	}
	return Unknown
}

// An Ending is how a claim ends.
type Ending uint8

// The endings of a claim.
const (
	Finished  Ending = iota + 1 // the outcome is final
	Released                    // nothing happened: forget the claim
	Undecided                   // whether it happened is not known
	Forgotten                   // it is done, and shall be forgotten before its time
)

func (e Ending) String() string {
	return [...]string{"none", "finished", "released", "unknown", "forgotten"}[e]
}

// LogValue implements slog.LogValuer: logs of any format show what String returns.
func (e Ending) LogValue() slog.Value { return slog.StringValue(e.String()) }

// A Settlement ends a claim.
type Settlement struct {
	ID     ID
	Token  Token
	Ending Ending
	// Instead, unless zero, says that not the owner of Token settles but somebody else found out what became of its
	// operation: a probe or an operator. It is a new token. Only an unknown operation can be settled so, for the owner of
	// any other is alive or has ended it, and what is finished so has the new token: the owner, when it comes late after
	// all, is refused and does not believe that its own outcome was recorded.
	Instead Token
	// Outcome is the answer: required for Finished, optional for Undecided, nil for Released.
	Outcome *Outcome
	// Retention is how long a finished outcome is replayed, Tombstone how long after that the key is known as used.
	Retention, Tombstone time.Duration
}

// Apply decides what the settlement makes of the record cur at the store's time now. If written is true, the returned
// record must be durable (or, when absent, removed) before anyone is told. The error is ErrStale when the token is not the
// newest, and also when the operation is already done in another way, or when Forgotten finds one that is not done.
//
// Finishing twice with one token is one finish: the first outcome stands.
func (s Settlement) Apply(cur Record, now time.Time) (next Record, written bool, err error) {
	cur = cur.At(now) // a record past its time is absent, whether the store has removed it or not
	if s.Instead != (Token{}) {
		switch {
		case s.repeats(&cur):
			return cur, false, nil
		case cur.State != StateUnknown:
			return Record{}, false, ErrStale
		}
	}
	if cur.State == StateAbsent || cur.Token != s.Token || s.Token == (Token{}) {
		return Record{}, false, ErrStale
	}
	if cur.State == StateDone || cur.State == StateExpired {
		if s.Ending == Forgotten {
			return Record{}, true, nil
		}
		if s.Ending != Finished {
			return Record{}, false, ErrStale
		}
		return cur, false, nil
	}
	next = cur
	switch s.Ending {
	case Finished:
		next.State, next.Outcome, next.Lease = StateDone, s.Outcome, time.Time{}
		next.Retain = now.Add(s.Retention)
		next.Forget = next.Retain.Add(s.Tombstone)
		if s.Instead != (Token{}) {
			next.Token = s.Instead
		}
	case Released:
		next = Record{}
	case Undecided:
		next.State, next.Outcome, next.Lease = StateUnknown, s.Outcome, time.Time{}
	case Forgotten:
		return Record{}, false, ErrStale
	}
	return next, true, nil
}

// repeats reports whether the record is what this settlement, made instead of the owner's, has made of it before.
func (s *Settlement) repeats(cur *Record) bool {
	return s.Ending == Finished && cur.Token == s.Instead && (cur.State == StateDone || cur.State == StateExpired)
}

// A Renewal extends the lease of a claim whose owner is alive.
type Renewal struct {
	ID    ID
	Token Token
	Lease time.Duration // from now on
}

// Apply decides what the renewal makes of the record cur at the store's time now. A lapsed claim whose token is still the
// newest is alive again. The error is ErrStale for any other token, and when the claim has ended.
func (r Renewal) Apply(cur Record, now time.Time) (Record, error) {
	if cur.State != StateRunning || cur.Token != r.Token || r.Token == (Token{}) {
		return Record{}, ErrStale
	}
	cur.Lease = now.Add(r.Lease)
	return cur, nil
}
