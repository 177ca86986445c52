package refrain

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// A Journal keeps endings on the local disk while the store cannot take them. Package journal implements it.
//
// The Guard calls the methods one at a time.
type Journal interface {
	// Append makes the entry durable before it returns nil.
	Append(JournalEntry) error
	// Remove forgets the entry of that token.
	Remove(ID, Token) error
	// Entries returns what is kept, in the order in which it was appended.
	Entries() ([]JournalEntry, error)
}

// A JournalEntry is an ending that the store does not know yet.
type JournalEntry struct {
	ID ID
	// Record is what the store should hold: done or unknown, with the token of the claim that ended.
	Record Record
	// Retention and Tombstone are those of the operation's policy.
	Retention, Tombstone time.Duration
	Route                string
}

func (e *JournalEntry) settlement() Settlement {
	s := Settlement{
		ID: e.ID, Token: e.Record.Token, Ending: Undecided, Outcome: e.Record.Outcome,
		Retention: e.Retention, Tombstone: e.Tombstone,
	}
	if e.Record.State == StateDone {
		s.Ending = Finished
	}
	return s
}

// backlogLimit bounds the memory of endings that wait for the store. Beyond it they are dropped, which leaves their
// operations unknown.
const backlogLimit = 64 << 20

// The backlog holds endings that the store does not know yet, and brings them there when it is back.
type backlog struct {
	guard   *Guard
	journal Journal

	waiting atomic.Int64 // len(byID): almost always zero, which costs Begin one load

	mu       sync.Mutex
	byID     map[ID]*ending
	queue    []*ending
	bytes    int
	draining bool
	stop     chan struct{}
	drained  sync.WaitGroup

	journalMu sync.Mutex
}

// An ending is one settlement that the store did not confirm.
type ending struct {
	settlement Settlement
	record     Record // what the store will hold
	route      string
	durable    bool // in the journal: its outcome may be shown
}

func newBacklog(g *Guard, j Journal) (*backlog, error) {
	b := &backlog{guard: g, journal: j, byID: make(map[ID]*ending), stop: make(chan struct{})}
	if j == nil {
		return b, nil
	}
	entries, err := j.Entries()
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range entries {
		b.push(&ending{settlement: e.settlement(), record: e.Record, route: e.Route, durable: true})
	}
	return b, nil
}

// add takes over a settlement of the claim in cur, and returns the record that may be shown to others meanwhile: the
// outcome if it is durable in the journal, else that nobody knows.
func (b *backlog) add(s Settlement, cur Record, route string) Record {
	e := &ending{settlement: s, route: route}
	if s.Ending != Released {
		e.record, _, _ = s.Apply(cur, time.Now())
		e.durable = b.keep(e)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bytes > backlogLimit {
		b.drop(e, "too many wait for the store")
		return e.visible()
	}
	b.push(e)
	return e.visible()
}

// keep writes the ending to the journal and reports whether it is there.
func (b *backlog) keep(e *ending) bool {
	if b.journal == nil {
		return false
	}
	b.journalMu.Lock()
	defer b.journalMu.Unlock()
	err := b.journal.Append(JournalEntry{
		ID: e.settlement.ID, Record: e.record, Route: e.route,
		Retention: e.settlement.Retention, Tombstone: e.settlement.Tombstone,
	})
	if err != nil {
		b.guard.log.Error("ending not journaled", "op", e.settlement.ID, "route", e.route, "err", err)
	}
	return err == nil
}

// push queues the ending and sees to it that somebody works on the queue. b.mu is held.
func (b *backlog) push(e *ending) {
	b.byID[e.settlement.ID] = e
	b.queue = append(b.queue, e)
	b.bytes += e.size()
	b.waiting.Store(int64(len(b.byID)))
	if !b.draining {
		b.draining = true
		b.drained.Go(b.drain)
	}
}

// lookup returns what a duplicate may see of an operation whose ending is not in the store yet.
func (b *backlog) lookup(id ID) (Record, bool) {
	if b.waiting.Load() == 0 {
		return Record{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.byID[id]
	if !ok || e.settlement.Ending == Released {
		return Record{}, false
	}
	r := e.visible().At(time.Now())
	return r, r.State != StateAbsent
}

func (b *backlog) len() int { return int(b.waiting.Load()) }

// visible returns what others may see: nothing that a crash could take back.
func (e *ending) visible() Record {
	r := e.record
	if !e.durable {
		r.State, r.Outcome = StateUnknown, nil
	}
	return r
}

func (e *ending) size() int { return 256 + e.settlement.Outcome.Size() }

// drain brings the queue to the store and ends when it is empty or the guard closes.
func (b *backlog) drain() {
	const shortest, longest = 100 * time.Millisecond, 2 * time.Second
	pause := shortest
	for {
		e := b.first()
		if e == nil {
			return
		}
		if b.bring(e) {
			pause = shortest
			continue
		}
		select {
		case <-time.After(pause):
		case <-b.stop:
			b.mu.Lock()
			b.draining = false
			b.mu.Unlock()
			return
		}
		pause = min(2*pause, longest)
	}
}

func (b *backlog) first() *ending {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		b.draining = false
		return nil
	}
	return b.queue[0]
}

// bring settles one ending, and reports whether the store gave an answer.
func (b *backlog) bring(e *ending) bool {
	_, err := b.guard.settle(context.Background(), e.settlement)
	if err != nil && !errors.Is(err, ErrStale) {
		return false
	}
	g := b.guard
	switch {
	case e.settlement.Ending == Released:
	case err == nil:
		g.observer.Observe(Event{Kind: EventRecovered, Route: e.route, Ending: e.settlement.Ending})
		g.log.Info("ending recorded at last", "op", e.settlement.ID, "route", e.route, "ending", e.settlement.Ending)
	default:
		g.observer.Observe(Event{Kind: EventStale, Route: e.route, Ending: e.settlement.Ending})
		g.log.Warn("late ending refused: a newer claim exists", "op", e.settlement.ID, "route", e.route)
	}
	if e.durable {
		b.journalMu.Lock()
		if err := b.journal.Remove(e.settlement.ID, e.settlement.Token); err != nil {
			g.log.Error("journal entry not removed", "op", e.settlement.ID, "err", err)
		}
		b.journalMu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = b.queue[1:]
	b.bytes -= e.size()
	if b.byID[e.settlement.ID] == e {
		delete(b.byID, e.settlement.ID)
	}
	b.waiting.Store(int64(len(b.byID)))
	return true
}

func (b *backlog) drop(e *ending, why string) {
	if e.settlement.Ending == Released {
		return
	}
	b.guard.observer.Observe(Event{Kind: EventDropped, Route: e.route, Ending: e.settlement.Ending})
	b.guard.log.Error("ending dropped, its operation stays unknown", "op", e.settlement.ID, "route", e.route, "why", why)
}

// close ends the draining after one more try, and returns how many outcomes are in neither the store nor the journal.
func (b *backlog) close() (lost int) {
	b.mu.Lock()
	select {
	case <-b.stop:
	default:
		close(b.stop)
	}
	b.mu.Unlock()
	b.drained.Wait()
	for e := b.first(); e != nil; e = b.first() {
		if !b.bring(e) {
			break
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.queue {
		if !e.durable && e.settlement.Ending != Released {
			lost++
		}
	}
	return lost
}
