package refrainhttp

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/refrain-dev/refrain"
)

// serveBatch is serve for a request that may be a batch, once its body was read.
func (x *exchange) serveBatch() {
	items, a, f := x.unpack()
	switch {
	case f.kind != problemNone:
		x.refuse(StatusRefused, f)
	case len(items) == 0:
		x.pass()
	default:
		own := *x // else every exchange would be on the heap
		b := &batchExchange{exchange: &own, items: items, array: a}
		b.serve()
	}
}

// unpack returns the items of an acceptable batch, none of a request without a key.
func (x *exchange) unpack() (items []item, a array, f refusal) {
	if f = x.verify(); f.kind != problemNone {
		return nil, a, f
	}
	if err := checkDigest(x.plan.policy.Fingerprint.Digest, x.request.Header, x.body.b); err != nil {
		return nil, a, refusal{kind: problemBodyBroken, detail: sentence(err)}
	}
	items, a, f = x.plan.batch.split(x)
	if f.kind != problemNone {
		return nil, a, f
	}
	own, err := x.plan.key.read(x.request, nil, x.work)
	switch {
	case err != nil || !own.none():
		f = refusal{kind: problemKeyInvalid, detail: "The keys of a batch are those of its items. Send it without one of its own."}
	case len(items) == 0 && x.plan.key.required:
		f = refusal{kind: problemKeyMissing}
	case len(items) > 0 && x.plan.policy.Mode == Refuse:
		f = refusal{kind: problemUnsupported}
	case len(items) > 0 && upgrades(x.request):
		f = refusal{kind: problemUpgrade}
	case len(items) > 0:
		if x.caller, err = x.plan.scope.caller(x.request); err != nil {
			f = unproven(x.caller.source, err)
		}
	}
	return items, a, f
}

// A batchExchange is a batch on its way through.
type batchExchange struct {
	*exchange
	items []item
	array array // in the request's body
	whole whole // what the handler said to all that were forwarded
}

func (b *batchExchange) serve() {
	b.claim()
	if err := b.failure(); err != nil {
		b.giveUp(err)
		return
	}
	if slices.ContainsFunc(b.items, func(i item) bool { return i.runs() }) {
		b.execute()
		if !b.whole.mapped {
			b.handOver()
			return
		}
	}
	b.await()
	b.reply()
}

// claim asks for all items at once, so that a store commits them together. No claim waits while another is held: of two batches
// that share items each runs those that it gets, and neither waits for the other.
func (b *batchExchange) claim() {
	ops := b.operations()
	var wg sync.WaitGroup
	for i := range b.items {
		wg.Go(func() {
			b.items[i].attempt, b.items[i].err = b.m.guard.Begin(b.request.Context(), ops[i])
		})
	}
	wg.Wait()
}

// operations returns those of the items. What is around the array is a part of each.
func (b *batchExchange) operations() []refrain.Operation {
	p := b.plan.batch
	digest := &p.fingerprint
	if b.caller.principal == "" {
		digest = &p.strangers
	}
	scope := b.plan.scope.of(b.request, b.caller.principal)
	envelope := b.array.with(b.body.b)
	ops := make([]refrain.Operation, len(b.items))
	for i := range b.items {
		op := &ops[i]
		*op = refrain.Operation{Scope: scope, Key: b.items[i].key.value, Policy: &p.operation, InBatch: true}
		digest.putItem(op, envelope, b.items[i].raw, b.request)
		if b.plan.probe != nil {
			op.Probe = b.m.prober.about(b.plan.probe, b.request, *op)
		}
	}
	return ops
}

// putItem is put for an item of a batch.
func (p *fingerprinter) putItem(op *refrain.Operation, envelope, raw []byte, r *http.Request) {
	as := func(a *algorithm) refrain.Fingerprint {
		around, work := *p, &workspace{} // of its own: several items may be compared at one time
		around.fields = nil
		all, own := a.digest(&around, r, envelope, work), a.digest(p, r, raw, work)
		return sha256.Sum256(append(all[:], own[:]...))
	}
	op.FingerprintVersion, op.Fingerprint = p.algorithms[0].version, as(&p.algorithms[0])
	if len(p.algorithms) == 1 {
		return
	}
	op.FingerprintAs = func(version uint8) (refrain.Fingerprint, bool) {
		i := slices.IndexFunc(p.algorithms, func(a algorithm) bool { return a.version == version })
		if i < 0 {
			return refrain.Fingerprint{}, false
		}
		return as(&p.algorithms[i]), true
	}
}

// failure returns why the guard did not decide about some item, if it did not.
func (b *batchExchange) failure() error {
	i := slices.IndexFunc(b.items, func(i item) bool { return i.err != nil })
	if i < 0 {
		return nil
	}
	return b.items[i].err
}

// giveUp answers a batch of which nothing is forwarded, because the store is away. It runs unprotected only if nothing is known
// of any item.
func (b *batchExchange) giveUp(err error) {
	b.each(func(i *item) { _ = i.attempt.Release(b.request.Context()) }) // the guard logs what goes wrong
	known := slices.ContainsFunc(b.items, func(i item) bool { return i.err == nil })
	switch {
	case !errors.Is(err, refrain.ErrUnavailable):
		b.refuse(StatusRefused, refusal{kind: problemKeyInvalid, detail: sentence(err)})
	case !known && b.plan.operation.StoreDown == refrain.FailOpen && !errors.Is(err, refrain.ErrClosed):
		b.bypass()
	default:
		b.m.log.Error("batch refused: the store is away", "route", b.plan.pattern, "err", err)
		b.refuse(StatusRefused, problemUnavailable.refusal())
	}
}

// each does something to every item that runs, all at once, and waits.
func (b *batchExchange) each(do func(*item)) {
	var wg sync.WaitGroup
	for i := range b.items {
		if b.items[i].runs() {
			wg.Go(func() { do(&b.items[i]) })
		}
	}
	wg.Wait()
}

// await waits for items that others are busy with, as long as the policy says. The batch holds no claims any more.
func (b *batchExchange) await() {
	inFlight := func(i item) bool { return i.attempt.Verdict == refrain.InFlight }
	if b.plan.operation.Wait == 0 || !slices.ContainsFunc(b.items, inFlight) {
		return
	}
	ctx, cancel := context.WithTimeout(b.request.Context(), b.plan.operation.Wait)
	defer cancel()
	ops := b.operations()
	var wg sync.WaitGroup
	for i := range b.items {
		if inFlight(b.items[i]) {
			ops[i].Policy = &b.plan.operation
			wg.Go(func() { b.awaitItem(ctx, &b.items[i], ops[i]) }) // beside the others: it may have to be probed
		}
	}
	wg.Wait()
}

func (b *batchExchange) awaitItem(ctx context.Context, it *item, op refrain.Operation) {
	a, err := b.m.guard.Begin(ctx, op)
	switch {
	case err != nil: // it is still in flight, as far as anyone knows
	case a.Verdict == refrain.Run: // the other one let go: that is for a retry to run
		_ = a.Release(b.request.Context())
	default:
		it.attempt = a
	}
}
