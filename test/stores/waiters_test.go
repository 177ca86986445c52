package stores

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// TestAThousandWaiters has 1,000 duplicates wait for an operation, in two processes, on real servers. It runs once, and while they
// wait each process calls the store twice a second at most.
func TestAThousandWaiters(t *testing.T) {
	t.Parallel()
	for name, kind := range sharing {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := kind.start(t)
			processes := []*process{newProcess(t, kind, place), newProcess(t, kind, place)}
			var executions atomic.Int64
			begun, end := make(chan struct{}), make(chan struct{})
			pay := func(context.Context) (int64, error) {
				n := executions.Add(1)
				if n == 1 {
					close(begun)
				}
				<-end
				return n, nil
			}
			var all sync.WaitGroup
			join := func(i int) {
				all.Go(func() {
					got, err := refrain.Do(t.Context(), processes[i%2].guard, storm, pay)
					if got != 1 || err != nil {
						t.Errorf("got result %d and error %v, want 1 and none", got, err)
					}
				})
			}
			join(0)
			<-begun
			start := time.Now()
			for i := range 1000 {
				join(i)
			}
			<-time.After(4 * time.Second) // for them to wait
			close(end)
			all.Wait()
			if n := executions.Load(); n != 1 {
				t.Errorf("got %d executions, want 1", n)
			}
			for i, p := range processes {
				const ends = 2 // the first call and the last
				calls, seconds := p.calls.Load(), time.Since(start).Seconds()
				t.Logf("process %d: %d calls in %.1f s", i, calls, seconds)
				if float64(calls) > 2*seconds+ends {
					t.Errorf("process %d: got %d calls in %.1f s, want 2 a second at most", i, calls, seconds)
				}
			}
		})
	}
}

var storm = refrain.Operation{
	Scope: refrain.Scope{Principal: "somebody", Route: "POST /payments"}, Key: "storm",
	Policy: &refrain.Policy{Wait: time.Minute},
}

// A process has a guard of its own on a store that others use too.
type process struct {
	guard *refrain.Guard
	calls atomic.Int64 // of the store
}

func newProcess(t *testing.T, kind shared, place string) *process {
	t.Helper()
	s, err := kind.open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{}
	var counting refrain.Store = &counted{s, &p.calls}
	if w, ok := s.(refrain.Watcher); ok {
		counting = watched{counting, w}
	}
	p.guard, err = refrain.New(counting, refrain.Config{Secret: []byte("the secret that two processes share")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.guard.Close(context.Background())
		_ = s.Close()
	})
	return p
}

// A watched store tells when an operation ends.
type watched struct {
	refrain.Store
	refrain.Watcher
}

// A counted store counts its calls.
type counted struct {
	refrain.Store
	calls *atomic.Int64
}

func (c *counted) Claim(ctx context.Context, claim refrain.Claim) (refrain.Decision, error) {
	c.calls.Add(1)
	return c.Store.Claim(ctx, claim)
}

func (c *counted) Settle(ctx context.Context, s refrain.Settlement) (refrain.Record, error) {
	c.calls.Add(1)
	return c.Store.Settle(ctx, s)
}

func (c *counted) Renew(ctx context.Context, r refrain.Renewal) error {
	c.calls.Add(1)
	return c.Store.Renew(ctx, r)
}

func (c *counted) Get(ctx context.Context, id refrain.ID) (refrain.Record, error) {
	c.calls.Add(1)
	return c.Store.Get(ctx, id)
}
