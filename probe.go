package refrain

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

// A ProbeFunc asks the upstream whether an unknown operation happened: whether it has a charge with that key, say. The
// record is the unknown one: its claim's Fence and Created, and in Outcome the answer that did not tell, if one was kept. It
// must not be written to.
//
// It is called for one duplicate of the operation at a time in this process, which runs it on behalf of all that wait; in
// another process it may run at the same time. ctx ends at the policy's ProbeTimeout and not when the caller leaves. An
// error is as good as CannotTell, and logged; one that is ErrNotAsked does not make the next question wait longer.
//
// Only an upstream that can tell for certain may answer DidNotHappen: the operation is then run again. An owner that was cut
// off may still have had a request under way when its lease lapsed; the policy's Quiet is there to let it end first. Its late
// ending is refused from then on, which cannot take back its effect. Whoever looks in a replica, a cache or a search index
// that lags behind cannot tell for certain.
type ProbeFunc func(ctx context.Context, r Record) (Finding, error)

// ErrNotAsked says that a ProbeFunc did not come to ask the upstream, because too many others are being asked about, say.
var ErrNotAsked = errors.New("the upstream was not asked")

// A Finding is what a probe found out. The zero Finding is that the upstream cannot tell.
type Finding struct {
	Answer Answer
	// Outcome is what duplicates are given once the operation is found to have happened. If the probe does not tell what the
	// first answer was, it is Omitted.
	Outcome Outcome
}

// An Answer is an upstream's word on an unknown operation.
type Answer uint8

// The answers to a probe.
const (
	CannotTell   Answer = iota // it stays unknown
	Happened                   // it is done
	DidNotHappen               // it is released: the next attempt runs
)

func (a Answer) String() string {
	return [...]string{"cannot tell", "happened", "did not happen"}[a]
}

// mayProbe reports whether the attempt may ask what became of the unknown operation.
func (a *Attempt) mayProbe(r *Record, now time.Time) bool {
	return a.policy.Unknown == Probe && a.probe != nil && !r.unreadable() &&
		now.Sub(r.Created) >= a.quiet() && a.guard.probes.due(a.id)
}

// quiet is the policy's Quiet. Where that lets an execution end, it counts from the claim, and an execution begins when its owner
// hears of that.
func (a *Attempt) quiet() time.Duration {
	if a.policy.Quiet < a.policy.Timeout {
		return a.policy.Quiet
	}
	return max(a.policy.Quiet, a.policy.Timeout+a.guard.calls.limit)
}

// inquire asks the upstream what became of the unknown operation that d is about, has the store take its word, and claims
// anew: what the store says then counts, for somebody may have settled the operation meanwhile. While nobody can tell, d
// stands.
func (a *Attempt) inquire(ctx context.Context, c *Claim, d Decision) (Decision, error) {
	f := a.question(ctx, d.Record)
	s := Settlement{ID: a.id, Token: d.Record.Token, Instead: NewToken()}
	switch f.Answer {
	case Happened:
		s.Ending, s.Outcome = Finished, &f.Outcome
		s.Retention, s.Tombstone = a.policy.Retention, a.policy.Tombstone
	case DidNotHappen:
		s.Ending = Released
	default:
		return d, nil
	}
	switch _, err := a.guard.settle(ctx, s); {
	case err == nil:
		a.guard.log.Info("unknown operation settled by a probe", "op", a.id, "route", a.Route, "ending", s.Ending)
	case !errors.Is(err, ErrStale):
		a.guard.log.Error("what a probe found out is not recorded", "op", a.id, "route", a.Route, "err", err)
		return d, nil
	}
	a.guard.probes.forget(a.id)
	return a.claim(ctx, c)
}

// question calls the probe.
func (a *Attempt) question(ctx context.Context, r Record) Finding {
	limited := &limitedContext{parent: ctx, deadline: time.Now().Add(a.policy.ProbeTimeout)}
	defer limited.end()
	start := a.guard.now()
	f, err := a.probe(limited, r)
	a.guard.probes.postpone(a.id, !errors.Is(err, ErrNotAsked)) // from now on, so that no follower asks again at once
	if err != nil {
		f = Finding{}
		a.guard.log.Warn("probe failed", "op", a.id, "route", a.Route, "err", err)
	}
	a.guard.observe(Event{Kind: EventProbed, Route: a.Route, Answer: f.Answer, Took: a.guard.since(start), Err: err})
	return f
}

// An operation that nobody can tell about is asked about ever more seldom.
const (
	shortestProbePause = time.Second
	longestProbePause  = time.Minute
	maxProbed          = 1 << 14 // operations; beyond, the one that was asked about longest ago may be asked about again at once
)

// probes are the operations that were asked about in vain, and when each may be asked about again. The zero probes are none.
type probes struct {
	mu    sync.Mutex
	byID  map[ID]*list.Element
	order list.List // of probed, the one asked about longest ago first
}

type probed struct {
	id    ID
	pause time.Duration
	next  time.Time
}

// due reports whether the operation may be asked about now.
func (p *probes) due(id ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	el := p.byID[id]
	return el == nil || !time.Now().Before(el.Value.(*probed).next)
}

// postpone notes that the operation was asked about, or that nobody came to ask.
func (p *probes) postpone(id ID, asked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	el := p.byID[id]
	if el == nil {
		if p.byID == nil {
			p.byID = make(map[ID]*list.Element)
		}
		el = p.order.PushBack(&probed{id: id, pause: shortestProbePause / 2})
		p.byID[id] = el
	}
	e, now := el.Value.(*probed), time.Now()
	if e.next = now.Add(shortestProbePause); asked {
		e.pause = min(2*e.pause, longestProbePause)
		e.next = now.Add(e.pause)
	}
	p.order.MoveToBack(el)
	if len(p.byID) > maxProbed {
		p.drop(p.order.Front())
	}
}

// forget notes that the operation is unknown no more.
func (p *probes) forget(id ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if el := p.byID[id]; el != nil {
		p.drop(el)
	}
}

// drop is called with mu held.
func (p *probes) drop(el *list.Element) {
	delete(p.byID, p.order.Remove(el).(*probed).id)
}
