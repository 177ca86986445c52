package refrain

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// What the backlog holds in memory is bounded. Beyond that endings are dropped, which leaves their operations unknown once
// the lease has lapsed. What is in the journal does not count: the journal has bounds of its own.
const (
	maxBacklogBytes = 64 << 20 // of endings that no journal holds
	maxGivenBack    = 1 << 16  // claims
)

// giveBackAgain is after how long a claim is given back once more that was not there to be given back: it may have been on its
// way for longer than the store's timeout, as to a server that stood still.
const giveBackAgain = 5 * time.Second

// The backlog holds endings that the store does not know yet, and brings them there when it is back.
type backlog struct {
	guard   *Guard
	journal Journal

	waiting atomic.Int64 // len(byID): almost always zero, which costs Begin one load

	mu       sync.Mutex
	byID     map[ID]*ending // of outcomes
	queue    list.List      // of *ending: new outcomes at the front, claims given back at the end
	released int            // claims in the queue, or to be there later
	bytes    int            // of outcomes that no journal holds
	draining chan struct{}  // closed when the goroutine that works on the queue ends; nil if there is none
	stop     chan struct{}  // closed by close: try once more and end
	abandon  chan struct{}  // closed by close: end now

	journalMu sync.Mutex
}

// An ending is one settlement that the store did not confirm.
type ending struct {
	settlement Settlement
	record     Record // what the store will hold
	route      string
	durable    bool // in the journal: its outcome may be shown
	again      bool // a claim that is given back a second time
}

func newBacklog(g *Guard, j Journal) (*backlog, error) {
	b := &backlog{
		guard: g, journal: j, byID: make(map[ID]*ending), stop: make(chan struct{}), abandon: make(chan struct{}),
	}
	if j == nil {
		return b, nil
	}
	entries, err := j.Entries()
	if err != nil {
		return nil, err
	}
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
	if !b.push(e) {
		b.drop(e, "too many wait for the store")
	}
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

// push queues the ending, sees to it that somebody works on the queue, and reports whether there was room.
func (b *backlog) push(e *ending) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case e.again && isClosed(b.stop):
		return false
	case e.settlement.Ending == Released:
		if b.released >= maxGivenBack {
			return false
		}
		b.released++
		b.queue.PushBack(e)
	case !e.durable && b.bytes+e.size() > maxBacklogBytes:
		return false
	default:
		b.queue.PushFront(e)
		b.byID[e.settlement.ID] = e
		b.bytes += e.size()
		b.waiting.Store(int64(len(b.byID)))
	}
	if b.draining == nil {
		b.draining = make(chan struct{})
		go b.drain(b.draining)
	}
	return true
}

// lookup returns what a duplicate may see of an operation whose outcome is not in the store yet.
func (b *backlog) lookup(id ID) (Record, bool) {
	if b.waiting.Load() == 0 {
		return Record{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.byID[id]
	if !ok {
		return Record{}, false
	}
	r := e.visible().At(time.Now())
	return r, r.State != StateAbsent
}

func (b *backlog) len() int { return int(b.waiting.Load()) }

// visible returns what others may see: nothing that a crash could take back.
func (e *ending) visible() Record {
	r := e.record
	if !e.durable && r.State != StateAbsent {
		r.State, r.Outcome = StateUnknown, nil
	}
	return r
}

// size returns what the ending takes of maxBacklogBytes.
func (e *ending) size() int {
	if e.durable {
		return 0
	}
	return 256 + e.settlement.Outcome.Size()
}

// drain brings the queue to the store and ends when it is empty, or when the guard closes. One goroutine at a time runs it.
func (b *backlog) drain(done chan<- struct{}) {
	defer close(done)
	const shortest, longest = 100 * time.Millisecond, 2 * time.Second
	pause := shortest
	for {
		el := b.next()
		switch {
		case el == nil:
			return
		case b.bring(el.Value.(*ending)):
			b.remove(el)
			pause = shortest
		case !b.rest(el, pause):
			return
		default:
			pause = min(2*pause, longest)
		}
	}
}

// next returns what comes next, or nil when the goroutine shall end.
func (b *backlog) next() *list.Element {
	b.mu.Lock()
	defer b.mu.Unlock()
	if el := b.queue.Front(); el != nil && !isClosed(b.abandon) {
		return el
	}
	b.draining = nil
	return nil
}

// rest waits before the store is tried again, with another ending, for it may be only this one that the store does not
// take. It reports false when the guard is closing and this was the last try.
func (b *backlog) rest(el *list.Element, pause time.Duration) bool {
	b.mu.Lock()
	b.queue.MoveToBack(el)
	if isClosed(b.stop) {
		b.draining = nil
		b.mu.Unlock()
		return false
	}
	b.mu.Unlock()
	select {
	case <-time.After(pause):
	case <-b.stop:
	}
	return true
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// bring settles one ending, and reports whether the store gave an answer.
func (b *backlog) bring(e *ending) bool {
	g := b.guard
	_, err := g.settle(context.Background(), e.settlement)
	switch {
	case err != nil && !errors.Is(err, ErrStale):
		return false
	case e.settlement.Ending == Released:
		if err != nil && !e.again {
			b.later(&ending{settlement: e.settlement, route: e.route, again: true})
		}
	case err == nil:
		g.observe(Event{Kind: EventRecovered, Route: e.route, Ending: e.settlement.Ending})
		g.log.Info("ending recorded at last", "op", e.settlement.ID, "route", e.route, "ending", e.settlement.Ending)
	default:
		g.observe(Event{Kind: EventStale, Route: e.route, Ending: e.settlement.Ending})
		g.log.Warn("late ending refused: somebody else has settled it since", "op", e.settlement.ID, "route", e.route)
	}
	if e.durable {
		b.journalMu.Lock()
		defer b.journalMu.Unlock()
		if err := b.journal.Remove(e.settlement.ID, e.settlement.Token); err != nil {
			g.log.Error("journal entry not removed", "op", e.settlement.ID, "err", err)
		}
	}
	return true
}

// later queues a claim that is to be given back again, after a while and if there is room.
func (b *backlog) later(e *ending) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.released >= maxGivenBack {
		return
	}
	b.released++
	time.AfterFunc(giveBackAgain, func() {
		b.mu.Lock()
		b.released--
		b.mu.Unlock()
		b.push(e)
	})
}

// remove takes an ending that the store knows off the queue.
func (b *backlog) remove(el *list.Element) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.queue.Remove(el).(*ending)
	if e.settlement.Ending == Released {
		b.released--
		return
	}
	b.bytes -= e.size()
	if b.byID[e.settlement.ID] == e {
		delete(b.byID, e.settlement.ID)
	}
	b.waiting.Store(int64(len(b.byID)))
}

// drop gives an ending up. The client of a claim given back was told that it did not run; that is nothing to log.
func (b *backlog) drop(e *ending, why string) {
	b.guard.observe(Event{Kind: EventDropped, Route: e.route, Ending: e.settlement.Ending})
	if e.settlement.Ending != Released {
		b.guard.log.Error("ending dropped, its operation stays unknown", "op", e.settlement.ID, "route", e.route, "why", why)
	}
}

// close ends the draining after one more try, or at once when ctx has ended, and returns how many outcomes are in neither the
// store nor the journal.
func (b *backlog) close(ctx context.Context) (lost int) {
	b.mu.Lock()
	if !isClosed(b.stop) {
		close(b.stop)
	}
	draining := b.draining
	b.mu.Unlock()
	if draining != nil {
		select {
		case <-draining:
		case <-ctx.Done():
			b.mu.Lock()
			if !isClosed(b.abandon) {
				close(b.abandon)
			}
			b.mu.Unlock()
			<-draining // within the store's timeout
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for el := b.queue.Front(); el != nil; el = el.Next() {
		if e := el.Value.(*ending); !e.durable && e.settlement.Ending != Released {
			lost++
		}
	}
	return lost
}
