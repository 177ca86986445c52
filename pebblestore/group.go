package pebblestore

import (
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// A group is requests that are answered after one sync.
type group struct {
	requests []*request
	bytes    int
	swept    [2][]held // generations of heads and of outcomes that it drops

	// The batch, in three parts: keys that follow each other are inserted faster. The running claims' part gets the others.
	running, heads, outcomes *pebble.Batch

	handed   chan struct{} // closed when nothing is added any more
	finished chan struct{} // closed when it is answered
	late     chan struct{} // closed when that takes longer than usual
	clock    *time.Timer   // closes late
	err      error         // of the sync
}

// The bounds of a group. They keep one commit short, and its batch well below what Pebble treats as a large one.
const (
	groupRequests = 2048
	groupBytes    = 2 << 20
)

// groupLate is after how long the requests of a group watch whether their callers have left.
const groupLate = 50 * time.Millisecond

func (s *Store) newGroup() *group {
	return &group{running: s.db.NewBatch(), heads: s.db.NewBatch(), outcomes: s.db.NewBatch()}
}

// begin makes the group ready to gather.
func (g *group) begin() *group {
	g.handed, g.finished, g.late = make(chan struct{}), make(chan struct{}), make(chan struct{})
	return g
}

func (g *group) full() bool { return len(g.requests) >= groupRequests || g.bytes >= groupBytes }

func (g *group) add(r *request) {
	if len(g.requests) == 0 {
		late := g.late
		g.clock = time.AfterFunc(groupLate, func() { close(late) })
	}
	g.requests = append(g.requests, r)
	g.bytes += r.size()
}

// batch returns the group's changes as one batch.
func (g *group) batch() *pebble.Batch {
	_ = g.running.Apply(g.outcomes, nil) // batches in memory cannot fail
	_ = g.running.Apply(g.heads, nil)
	return g.running
}

// answer ends all requests of the group.
func (g *group) answer(err error) {
	if g.clock != nil {
		g.clock.Stop()
	}
	close(g.finished)
	for _, r := range g.requests {
		r.answer(err)
	}
}

// reset makes the group empty.
func (g *group) reset() {
	clear(g.requests)
	for _, b := range []*pebble.Batch{g.running, g.heads, g.outcomes} {
		b.Reset()
	}
	*g = group{requests: g.requests[:0], running: g.running, heads: g.heads, outcomes: g.outcomes}
}
