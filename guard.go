package refrain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Config configures a Guard. The zero Config works.
type Config struct {
	// Policy governs operations that bring none of their own.
	Policy Policy
	// Secret keys the hashes that a store keeps of scopes, keys and fingerprints. All guards on one store need the same
	// one, and changing it makes every recorded operation unknown to the guard. If empty, the hashes are not secret:
	// who reads the store can test guesses at short keys.
	Secret []byte
	// StoreTimeout bounds every call to the store. If zero, 1.5 seconds.
	StoreTimeout time.Duration
	// Recall bounds the memory, in bytes, for recorded outcomes: replaying one that is in it does not ask the store. If
	// zero, 16 MiB; if negative, none. A store that is a [Peeker] needs none.
	Recall int
	// Journal keeps endings that could not be written to the store. If nil, they are kept in memory only, and a crash
	// before the store is back makes their operations unknown.
	Journal Journal
	// Observer is told what happens, for metrics. If nil, nobody is.
	Observer Observer
	// Logger gets a line for whatever needs an operator's eye. If nil, nothing is logged.
	Logger *slog.Logger
}

// A Guard decides about attempts. It may be used concurrently; every process needs one for each store.
type Guard struct {
	store    Store
	peeker   Peeker      // the store, or nil
	tokens   TokenPeeker // the store, or nil
	policy   Policy
	identity *identity
	calls    deadlines // of calls to the store
	observer Observer  // or nil
	log      *slog.Logger

	recall  *recall
	flights flights
	renewer renewer
	backlog *backlog
	probes  probes
	marks   marks
	owned   atomic.Int64 // attempts that own a claim

	mu      sync.Mutex
	closing chan struct{}  // closed by Close, with mu held
	running sync.WaitGroup // attempts that ask for a claim or own one
}

// New returns a Guard on the store, which stays the caller's to close, after the Guard. The error tells what is wrong with
// the Config, or that the journal could not be read.
func New(store Store, cfg Config) (*Guard, error) {
	if err := cfg.Policy.Validate(); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	g := &Guard{
		store:    store,
		policy:   cfg.Policy.WithDefaults(),
		identity: newIdentity(cfg.Secret),
		calls:    deadlines{limit: cfg.StoreTimeout},
		observer: cfg.Observer,
		log:      cfg.Logger,
		closing:  make(chan struct{}),
	}
	setDefault(&g.calls.limit, 1500*time.Millisecond)
	if cfg.Recall == 0 {
		cfg.Recall = 16 << 20
	}
	g.peeker, _ = store.(Peeker)
	g.tokens, _ = store.(TokenPeeker)
	if g.peeker != nil {
		cfg.Recall = -1
	}
	g.recall = newRecall(cfg.Recall)
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	var err error
	g.backlog, err = newBacklog(g, cfg.Journal)
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	return g, nil
}

// Begin decides about one attempt. When the verdict is Run, the caller owns the claim and must end it with exactly one of
// the attempt's Finish, Release and MarkUnknown; until then the guard renews the lease, for as long as the policy's
// Timeout.
//
// A duplicate of an operation in flight waits as long as its policy's Wait and ctx allow. ctx bounds nothing else: a claim
// under way when the caller leaves is completed.
//
// The error is ErrInvalidKey, ErrUnavailable when the store did not answer or made no sense, or says what is wrong with the
// operation's policy. Then nothing may be run, unless the store is unavailable and the policy's StoreDown says so.
func (g *Guard) Begin(ctx context.Context, op Operation) (*Attempt, error) {
	a, err := g.begin(ctx, &op)
	if err != nil {
		return nil, fmt.Errorf("claiming: %w", err)
	}
	g.observe(Event{Kind: EventVerdict, Route: a.Route, Verdict: a.Verdict, Took: g.since(a.start)})
	return a, nil
}

// Recall is Begin for an operation whose outcome is in memory: see Config.Recall. For any other it does nothing and
// reports false.
func (g *Guard) Recall(op Operation) (*Attempt, bool) {
	if op.validate() != nil {
		return nil, false
	}
	a := g.newAttempt(&op)
	if !a.recall() {
		return nil, false
	}
	g.observe(Event{Kind: EventVerdict, Route: a.Route, Verdict: a.Verdict, Took: g.since(a.start)})
	return a, true
}

// ID returns the name that an operation has in the store, by its scope and key.
func (g *Guard) ID(op Operation) ID { return g.identity.id(&op) }

// MayRecall reports false if Recall has nothing of that key, in any scope, without looking closely.
func (g *Guard) MayRecall(key string) bool { return g.peeker != nil || g.recall.may(key) }

func (g *Guard) newAttempt(op *Operation) *Attempt {
	a := &Attempt{
		guard: g, Route: op.Scope.Route, policy: g.policyOf(op), probe: op.Probe,
		fingerprintAs: op.FingerprintAs, start: g.now(), slot: g.recall.slot(op), inBatch: op.InBatch,
	}
	a.id, a.fingerprint = g.identity.of(op)
	return a
}

// recall decides about the attempt if the outcome is in memory.
func (a *Attempt) recall() bool {
	var r Record
	var now time.Time
	if p := a.guard.peeker; p != nil {
		r, now = p.Peek(a.id)
	} else {
		r, now = a.guard.recall.look(&a.id)
	}
	if r.State != StateDone {
		return false
	}
	a.answer(r, now)
	return true
}

func (g *Guard) begin(ctx context.Context, op *Operation) (*Attempt, error) {
	if err := op.validate(); err != nil {
		return nil, err
	}
	a := g.newAttempt(op)
	if a.recall() {
		return a, nil
	}
	wait := &wait{ctx: ctx, quit: g.closing, left: a.policy.Wait}
	defer wait.stop()
	for {
		if r, ok := g.backlog.lookup(a.id); ok {
			a.Unrecorded = true
			return a.answer(r, time.Now()), nil
		}
		f, leads := g.flights.join(a)
		if leads {
			return a, a.lead(wait)
		}
		again, err := a.follow(f, wait)
		if err != nil || !again {
			return a, err
		}
	}
}

func (g *Guard) policyOf(op *Operation) Policy {
	if op.Policy != nil {
		return op.Policy.WithDefaults()
	}
	return g.policy
}

// enter counts an attempt in that will ask for a claim, unless the guard is closing.
func (g *Guard) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed() {
		return false
	}
	g.running.Add(1)
	return true
}

func (g *Guard) leave() { g.running.Done() }

func (g *Guard) closed() bool { return isClosed(g.closing) }

// Running returns how many attempts of this guard own a claim now.
func (g *Guard) Running() int { return int(g.owned.Load()) }

// Unrecorded returns how many operations have ended without the store knowing it yet.
func (g *Guard) Unrecorded() int { return g.backlog.len() }

// Close refuses new claims, waits until ctx ends for the attempts that run, tries once more to record what is unrecorded,
// if ctx lasts, and ends the guard's goroutines. It does not close the store or the journal. The error says what was left undone.
func (g *Guard) Close(ctx context.Context) error {
	g.mu.Lock()
	if !g.closed() {
		close(g.closing)
	}
	g.mu.Unlock()

	done := make(chan struct{})
	go func() {
		g.running.Wait()
		close(done)
	}()
	var left error
	select {
	case <-done:
		g.renewer.stop()
	case <-ctx.Done():
		left = fmt.Errorf("closing the guard: %d operations still run: %w", g.Running(), ctx.Err())
	}
	if n := g.backlog.close(ctx); n > 0 && left == nil {
		left = fmt.Errorf("closing the guard: %d outcomes: %w", n, ErrUnrecorded)
	}
	return left
}

func (g *Guard) claim(ctx context.Context, c *Claim) (Decision, error) {
	start := g.now()
	d, err := g.store.Claim(g.calls.context(ctx), *c)
	g.observe(Event{Kind: EventStoreCall, Call: "claim", Took: g.since(start), Err: err})
	if err == nil {
		err = d.check(c)
	}
	if err != nil && !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return d, err
}

func (g *Guard) settle(ctx context.Context, s Settlement) (Record, error) {
	start := g.now()
	r, err := g.store.Settle(g.calls.context(ctx), s)
	g.observe(Event{Kind: EventStoreCall, Call: "settle", Took: g.since(start), Err: err})
	return r, err
}

func (g *Guard) renew(r Renewal) error {
	start := g.now()
	err := g.store.Renew(g.calls.context(context.Background()), r)
	g.observe(Event{Kind: EventStoreCall, Call: "renew", Took: g.since(start), Err: err})
	return err
}

func (g *Guard) observe(e Event) {
	if g.observer != nil {
		g.observer.Observe(e)
	}
}

// now is the time for an Event: without an observer nobody asks for it.
func (g *Guard) now() time.Time {
	if g.observer == nil {
		return time.Time{}
	}
	return time.Now()
}

// since returns the time since a moment that now returned.
func (g *Guard) since(start time.Time) time.Duration {
	if g.observer == nil {
		return 0
	}
	return time.Since(start)
}
