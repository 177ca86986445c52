package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// A Workload says what Record does. The zero Workload works.
type Workload struct {
	// Seed chooses the calls; the scheduler chooses their interleaving. If zero, a random one. Record logs it.
	Seed uint64
	// Calls is how many calls are made. If zero, 10,000.
	Calls int
	// Clients is how many goroutines make them. If zero, 16.
	Clients int
	// Operations is how many operations are used at a time; each gets about 40 calls. If zero, 4.
	Operations int
	// Leave is the share of calls, 0 to 1, whose context ends early.
	Leave float64
}

// An Op is one call of a history and its answer.
type Op struct {
	Client int
	ID     refrain.ID
	// Request is a refrain.Claim, a refrain.Settlement, a refrain.Renewal or a Get.
	Request any
	// Call and Return are the times of the call and of its answer, since the history's beginning.
	Call, Return time.Duration
	Decision     refrain.Decision // the answer to a Claim
	Record       refrain.Record   // the answer to a Settlement and to a Get
	Err          error
}

// Get is the request to read a record.
type Get struct{}

// Ambiguous reports whether the answer leaves open if the call took effect, and that it still may.
func (o *Op) Ambiguous() bool { return o.Err != nil && !errors.Is(o.Err, refrain.ErrStale) }

// Record makes random concurrent calls on a few operations of the store and returns what it saw, for a linearizability
// checker. Clients use each other's tokens, old and new ones, repeat their calls, and ask again after an error.
//
// Time decides nothing in a history: every lease, retention and tombstone either outlasts it or has ended in the past.
func Record(t testing.TB, s refrain.Store, w Workload) []Op {
	t.Helper()
	setDefault(&w.Seed, rand.Uint64())
	setDefault(&w.Calls, 10_000)
	setDefault(&w.Clients, 16)
	setDefault(&w.Operations, 4)
	t.Logf("seed of the history: %#x", w.Seed)

	r := &recording{workload: w, store: s, start: time.Now()}
	histories := make([][]Op, w.Clients)
	var all sync.WaitGroup
	for i := range histories {
		all.Go(func() { histories[i] = r.client(i) })
	}
	all.Wait()
	var ops []Op
	for _, h := range histories {
		ops = append(ops, h...)
	}
	return ops
}

func setDefault[T int | uint64](v *T, value T) {
	if *v == 0 {
		*v = value
	}
}

// callsEach is how many calls an operation gets before the clients turn to a new one.
const callsEach = 40

// A recording is a workload under way.
type recording struct {
	workload Workload
	store    refrain.Store
	start    time.Time
	calls    atomic.Int64
	outcomes atomic.Uint64

	mu    sync.Mutex
	round int
	used  []*contended
}

// A contended operation is one that clients fight for.
type contended struct {
	id refrain.ID

	mu     sync.Mutex
	tokens []refrain.Token
}

// client makes calls until the workload is done.
func (r *recording) client(i int) (history []Op) {
	rnd := rand.New(rand.NewPCG(r.workload.Seed, uint64(i)))
	for {
		n := int(r.calls.Add(1))
		if n > r.workload.Calls {
			return history
		}
		c := r.pick(n, rnd)
		op := Op{Client: i, ID: c.id, Request: r.request(c, rnd)}
		r.call(&op, rnd)
		if op.Ambiguous() && rnd.IntN(2) == 0 {
			history = append(history, op)
			r.call(&op, rnd) // the same request, token and all
		}
		history = append(history, op)
	}
}

// pick returns one of the operations that the n-th call may use.
func (r *recording) pick(n int, rnd *rand.Rand) *contended {
	r.mu.Lock()
	defer r.mu.Unlock()
	if round := n / (callsEach * r.workload.Operations); r.used == nil || round > r.round {
		r.round = round
		r.used = make([]*contended, r.workload.Operations)
		for i := range r.used {
			r.used[i] = &contended{id: randomID()}
		}
	}
	return r.used[rnd.IntN(len(r.used))]
}

// request returns a random request on the operation.
func (r *recording) request(c *contended, rnd *rand.Rand) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch p := rnd.IntN(100); {
	case p < 40 || len(c.tokens) == 0:
		claim := refrain.Claim{
			ID: c.id, Token: refrain.NewToken(), Fingerprint: refrain.Fingerprint{byte(rnd.IntN(8) / 7)},
			Lease: ended(rnd, 4), Rerun: rnd.IntN(3) == 0,
		}
		if len(c.tokens) > 0 && rnd.IntN(8) == 0 {
			claim.Token = c.tokens[rnd.IntN(len(c.tokens))]
		}
		c.tokens = append(c.tokens, claim.Token)
		return claim
	case p < 80:
		return r.settlement(c, rnd)
	case p < 90:
		return refrain.Renewal{ID: c.id, Token: c.token(rnd), Lease: ended(rnd, 4)}
	}
	return Get{}
}

func (r *recording) settlement(c *contended, rnd *rand.Rand) refrain.Settlement {
	s := refrain.Settlement{ID: c.id, Token: c.token(rnd), Ending: refrain.Released}
	switch p := rnd.IntN(10); {
	case p < 3:
		s.Ending, s.Outcome = refrain.Finished, r.outcome()
		s.Retention = ended(rnd, 2)
		if rnd.IntN(2) == 0 {
			s.Tombstone = 3 * long
		}
	case p == 6:
		s.Ending = refrain.Forgotten
	case p < 6:
		s.Ending = refrain.Undecided
		if rnd.IntN(2) == 0 {
			s.Outcome = r.outcome()
		}
	}
	if s.Ending != refrain.Undecided && s.Ending != refrain.Forgotten && rnd.IntN(4) == 0 {
		s.Instead = refrain.NewToken()
		c.tokens = append(c.tokens, s.Instead) // the newest from now on, if it goes through
	}
	return s
}

// outcome returns one that no other settlement has.
func (r *recording) outcome() *refrain.Outcome {
	return &refrain.Outcome{Status: 200, Body: binary.BigEndian.AppendUint64(nil, r.outcomes.Add(1))}
}

// ended returns a duration that is over for one in n, and else one that outlasts the history.
func ended(rnd *rand.Rand, n int) time.Duration {
	if rnd.IntN(n) == 0 {
		return -long
	}
	return long
}

// token returns a token of the operation, mostly the newest.
func (c *contended) token(rnd *rand.Rand) refrain.Token {
	switch p := rnd.IntN(20); {
	case p == 0:
		return refrain.Token{}
	case p < 6:
		return c.tokens[rnd.IntN(len(c.tokens))]
	}
	return c.tokens[len(c.tokens)-1]
}

// call makes the call and notes the answer.
func (r *recording) call(op *Op, rnd *rand.Rand) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if rnd.Float64() < r.workload.Leave {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rnd.IntN(300))*time.Microsecond)
		defer cancel()
	}
	op.Call = time.Since(r.start)
	switch q := op.Request.(type) {
	case refrain.Claim:
		op.Decision, op.Err = r.store.Claim(ctx, q)
	case refrain.Settlement:
		op.Record, op.Err = r.store.Settle(ctx, q)
	case refrain.Renewal:
		op.Err = r.store.Renew(ctx, q)
	case Get:
		op.Record, op.Err = r.store.Get(ctx, op.ID)
	}
	op.Return = time.Since(r.start)
}
