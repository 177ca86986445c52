package stores

import (
	"cmp"
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/storetest"
)

// check fails the test unless the history is linearizable, and shows the first operation that is not.
func check(t *testing.T, ops []storetest.Op) {
	t.Helper()
	if bad := illegal(t, ops); bad != nil {
		file, err := os.CreateTemp("", "history-*.html") //nolint:usetesting // to be looked at after the test
		if err == nil {
			_, info := porcupine.CheckOperationsVerbose(model(), bad, time.Minute)
			_ = porcupine.Visualize(model(), info, file)
			_ = file.Close()
			t.Logf("see %s", file.Name())
		}
		show(t, bad)
		t.Fatal("this history is not linearizable")
	}
}

func show(t *testing.T, history []porcupine.Operation) {
	t.Helper()
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	for _, p := range history {
		op := p.Input.(*storetest.Op)
		t.Logf("client %d, %v to %v: %s", op.Client, op.Call, op.Return, describe(op))
	}
}

// illegal returns the calls on an operation whose history is not linearizable, or nil.
func illegal(t *testing.T, ops []storetest.Op) []porcupine.Operation {
	t.Helper()
	m := model()
	for _, part := range partition(ops) {
		switch porcupine.CheckOperationsTimeout(m, part, time.Minute) {
		case porcupine.Illegal:
			return part
		case porcupine.Unknown:
			show(t, part)
			t.Fatalf("the checker did not finish a history of %d calls", len(part))
		}
	}
	return nil
}

// TestLinearizable checks histories of every store, as it is and behind a network that loses requests and answers.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	for name, subject := range subjects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := subject.start(t)()()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var total, lost, concurrent int
			for round := range 5 {
				w := storetest.Workload{Calls: subject.calls, Operations: 2 + round, Clients: subject.clients, Leave: 0.02}
				for _, s := range []refrain.Store{yielding{s}, &lossy{Store: yielding{s}, share: 0.05}} {
					ops := storetest.Record(t, s, w)
					check(t, ops)
					total += len(ops)
					concurrent += overlaps(ops)
					for i := range ops {
						if ops[i].Ambiguous() {
							lost++
						}
					}
				}
			}
			t.Logf("%d calls checked, %d of them concurrent, the answers of %d were lost", total, concurrent, lost)
			if total < 10*subject.calls || concurrent < 1000 || lost < 1000 {
				t.Errorf("want at least %d calls, 1,000 concurrent ones and 1,000 lost answers", 10*subject.calls)
			}
		})
	}
}

// TestCheckerRejects proves that the checker finds what broken stores do.
func TestCheckerRejects(t *testing.T) {
	t.Parallel()
	broken := map[string]func(s refrain.Store) refrain.Store{
		"a stale finish is accepted": func(s refrain.Store) refrain.Store { return &forgiving{Store: s} },
		"two claims run":             func(s refrain.Store) refrain.Store { return &generous{Store: s} },
		"fences go back":             func(s refrain.Store) refrain.Store { return &backwards{Store: s} },
		"an answer comes before its time": func(s refrain.Store) refrain.Store {
			return &stale{Store: s, old: make(map[refrain.ID]refrain.Record)}
		},
		"a write is lost": func(s refrain.Store) refrain.Store { return &forgetful{Store: s} },
	}
	for name, breaks := range broken {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := breaks(memstore.New(memstore.Config{}))
			if illegal(t, storetest.Record(t, s, storetest.Workload{Calls: 5000})) == nil {
				t.Error("the checker found nothing")
			}
		})
	}
	t.Run("nothing is broken", func(t *testing.T) {
		t.Parallel()
		check(t, storetest.Record(t, memstore.New(memstore.Config{}), storetest.Workload{Calls: 5000}))
	})
}

// yielding is a store whose calls let others go first, so that even the quickest overlap.
type yielding struct{ refrain.Store }

func (y yielding) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	runtime.Gosched()
	defer runtime.Gosched()
	return y.Store.Claim(ctx, c)
}

func (y yielding) Settle(ctx context.Context, s refrain.Settlement) (refrain.Record, error) {
	runtime.Gosched()
	defer runtime.Gosched()
	return y.Store.Settle(ctx, s)
}

func (y yielding) Renew(ctx context.Context, r refrain.Renewal) error {
	runtime.Gosched()
	defer runtime.Gosched()
	return y.Store.Renew(ctx, r)
}

// lossy is a store behind a network that loses requests and answers.
type lossy struct {
	refrain.Store
	share float64
}

// send makes the call unless the request is lost, and reports whether the answer arrives.
func (l *lossy) send(call func()) bool {
	if rand.Float64() < l.share {
		return false
	}
	call()
	return rand.Float64() >= l.share
}

func (l *lossy) Claim(ctx context.Context, c refrain.Claim) (d refrain.Decision, err error) {
	if !l.send(func() { d, err = l.Store.Claim(ctx, c) }) {
		return refrain.Decision{}, refrain.ErrUnavailable
	}
	return d, err
}

func (l *lossy) Settle(ctx context.Context, s refrain.Settlement) (r refrain.Record, err error) {
	if !l.send(func() { r, err = l.Store.Settle(ctx, s) }) {
		return refrain.Record{}, refrain.ErrUnavailable
	}
	return r, err
}

func (l *lossy) Renew(ctx context.Context, r refrain.Renewal) (err error) {
	if !l.send(func() { err = l.Store.Renew(ctx, r) }) {
		return refrain.ErrUnavailable
	}
	return err
}

// forgiving accepts a stale finish now and then.
type forgiving struct {
	refrain.Store
	calls atomic.Int64
}

func (f *forgiving) Settle(ctx context.Context, s refrain.Settlement) (refrain.Record, error) {
	if s.Ending == refrain.Finished && f.calls.Add(1)%3 == 0 {
		if r, err := f.Get(ctx, s.ID); err == nil {
			s.Token = r.Token
		}
	}
	return f.Store.Settle(ctx, s)
}

// generous lets a duplicate run now and then.
type generous struct {
	refrain.Store
	calls atomic.Int64
}

func (g *generous) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	d, err := g.Store.Claim(ctx, c)
	if err == nil && d.Verdict == refrain.InFlight && g.calls.Add(1)%20 == 0 {
		d.Verdict = refrain.Run
		d.Record.Token = c.Token
		d.Record.Fence++
	}
	return d, err
}

// backwards hands out an old fence now and then.
type backwards struct {
	refrain.Store
	calls atomic.Int64
}

func (b *backwards) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	d, err := b.Store.Claim(ctx, c)
	if err == nil && d.Verdict == refrain.Run && b.calls.Add(1)%20 == 0 {
		d.Record.Fence = 1
	}
	return d, err
}

// stale answers every other read from a cache that nobody invalidates.
type stale struct {
	refrain.Store
	mu  sync.Mutex
	old map[refrain.ID]refrain.Record
}

func (s *stale) Get(ctx context.Context, id refrain.ID) (refrain.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.old[id]; ok {
		delete(s.old, id)
		return r, nil
	}
	r, err := s.Store.Get(ctx, id)
	s.old[id] = r
	return r, err
}

// forgetful acknowledges a finish now and then that it does not make.
type forgetful struct {
	refrain.Store
	calls atomic.Int64
}

func (f *forgetful) Settle(ctx context.Context, s refrain.Settlement) (refrain.Record, error) {
	if s.Ending == refrain.Finished && f.calls.Add(1)%3 == 0 {
		cur, err := f.Get(ctx, s.ID)
		if err != nil {
			return cur, err
		}
		next, _, err := s.Apply(cur, time.Now())
		return next, err
	}
	return f.Store.Settle(ctx, s)
}
