package refrain_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

// TestTruthfulProbesNeverDouble has processes lose their store at any time, and executions that last to their end and tell nothing,
// while duplicates come all the time, and an operator. The upstream tells the truth, be it as of when it was asked or as of when it
// answers. Nothing happens twice, and what happened is known to have happened in the end.
func TestTruthfulProbesNeverDouble(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for round := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			s := &probeStorm{t: t, random: rand.New(rand.NewPCG(seed, round)), ledger: map[string]int{}, end: time.Now().Add(2 * time.Minute)}
			s.run()
		})
	}
}

// A probeStorm is one round.
type probeStorm struct {
	t         *testing.T
	end       time.Time
	processes []*refrain.Guard
	links     []*shakyLink

	mu     sync.Mutex
	random *rand.Rand
	ledger map[string]int // what happened at the upstream
}

func (s *probeStorm) dice(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

// upTo lets some time pass.
func (s *probeStorm) upTo(most time.Duration) { pass(time.Duration(s.dice(int(most)))) }

func (s *probeStorm) happened(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ledger[key] > 0
}

// A shakyLink leads to a store, and takes its time.
type shakyLink struct {
	*faulty
	storm *probeStorm
}

func (l *shakyLink) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	d, err := l.faulty.Claim(ctx, c)
	l.storm.upTo(time.Second)
	return d, err
}

func (s *probeStorm) run() {
	store := memstore.New(memstore.Config{})
	for range 3 {
		link := &shakyLink{&faulty{Store: store}, s}
		s.links = append(s.links, link)
		s.processes = append(s.processes, guard(s.t, link, refrain.Config{StoreTimeout: 1200 * time.Millisecond}))
	}
	var all sync.WaitGroup
	for _, work := range []func(){s.shake, s.shake, s.shake, s.resolve} {
		all.Go(func() { s.again(work) })
	}
	for range 16 {
		all.Go(func() { s.again(s.attempt) })
	}
	all.Wait()
	for _, l := range s.links {
		l.fail(works)
	}
	pass(time.Hour)
	for key := range s.ledger {
		begin(s.t, s.processes[0], s.operation(key, true), refrain.Replay)
	}
}

func (s *probeStorm) again(work func()) {
	for time.Now().Before(s.end) {
		work()
	}
}

// shake breaks the link of one process for a while.
func (s *probeStorm) shake() {
	l := s.links[s.dice(len(s.links))]
	s.upTo(5 * time.Second)
	l.fail(int32(s.dice(4)))
	s.upTo(12 * time.Second)
	l.fail(works)
}

// operation returns one whose upstream can always tell if it must.
func (s *probeStorm) operation(key string, certain bool) refrain.Operation {
	op := operation(key)
	op.Policy = &refrain.Policy{
		Unknown: refrain.Probe, Lease: time.Second, Timeout: 8 * time.Second, ProbeTimeout: 3 * time.Second,
		Wait: time.Duration(s.dice(3)) * time.Second,
	}
	op.Probe = func(ctx context.Context, _ refrain.Record) (refrain.Finding, error) {
		before := s.happened(key)
		if !certain {
			s.upTo(4 * time.Second)
		}
		switch after := s.happened(key); {
		case ctx.Err() != nil:
			return refrain.Finding{}, ctx.Err()
		case before, after && s.dice(2) == 0:
			return happened("probed"), nil
		case !certain && s.dice(6) == 0:
			return refrain.Finding{}, nil
		}
		return refrain.Finding{Answer: refrain.DidNotHappen}, nil
	}
	return op
}

// attempt makes an operation happen at some time of its execution, or not, and may tell what became of it.
func (s *probeStorm) attempt() {
	key := strconv.Itoa(s.dice(3) + 3*int(time.Until(s.end)/(30*time.Second)))
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Duration(s.dice(6000))*time.Millisecond)
	defer cancel()
	a, err := s.processes[s.dice(len(s.processes))].Begin(ctx, s.operation(key, false))
	if err != nil || a.Verdict != refrain.Run {
		s.upTo(500 * time.Millisecond)
		return
	}
	execution, end := a.Context(s.t.Context())
	defer end()
	if deadline, _ := execution.Deadline(); s.dice(2) == 0 {
		pass(time.Until(deadline) - time.Duration(1+s.dice(400))*time.Millisecond) // just before its end
	} else {
		s.upTo(12 * time.Second)
	}
	did := s.dice(3) > 0 && execution.Err() == nil
	if did {
		s.mu.Lock()
		if s.ledger[key]++; s.ledger[key] > 1 {
			s.t.Errorf("%s happened %d times", key, s.ledger[key])
		}
		s.mu.Unlock()
	}
	s.upTo(2 * time.Second)
	switch { // the guard knows what to do about an error
	case s.dice(2) == 0:
		_ = a.MarkUnknown(s.t.Context(), nil)
	case did:
		_ = a.Finish(s.t.Context(), refrain.Outcome{Status: 201})
	default:
		_ = a.Release(s.t.Context())
	}
}

// resolve is an operator who looks at an operation that is unknown and over, thinks, and settles it.
func (s *probeStorm) resolve() {
	s.upTo(5 * time.Second)
	key, g := strconv.Itoa(s.dice(15)), s.processes[s.dice(len(s.processes))]
	id := g.ID(operation(key))
	r, err := g.Lookup(s.t.Context(), id)
	if err != nil || r.State != refrain.StateUnknown || time.Since(r.Created) < 10*time.Second {
		return
	}
	res := refrain.Resolution{Fence: r.Fence, Ending: refrain.Released}
	if s.happened(key) {
		res.Ending, res.Outcome = refrain.Finished, refrain.Outcome{Status: 201}
	}
	s.upTo(5 * time.Second)
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	_, _ = g.Resolve(ctx, id, res) // somebody else may have been quicker
}
