package refrainhttp

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/refrain-dev/refrain"
)

// An exchange is one request on a protected route on its way through.
type exchange struct {
	m       *Middleware
	next    http.Handler
	plan    *plan
	client  http.ResponseWriter
	request *http.Request
	start   time.Time // zero when nobody observes

	key    clientKey
	caller caller
	scope  refrain.Scope // of its operation
	body   *buffer
	work   *workspace
}

// newExchange returns an exchange that its caller has to release.
func newExchange(p *protected, found *plan, w http.ResponseWriter, r *http.Request) exchange {
	x := exchange{m: p.m, next: p.next, plan: found, client: w, request: r, work: p.m.buffers.workspace()}
	if p.m.observer != nil {
		x.start = time.Now()
	}
	return x
}

// serve enforces the policy.
func (x *exchange) serve() {
	if !x.plan.late && x.turnedAway() {
		return
	}
	room := holding{of: &x.m.bodies}
	defer room.release()
	x.body = x.m.buffers.get()
	if err := readBody(x.body, x.request, x.plan.policy.Limits.RequestBody, &room); err != nil {
		if x.outgrows(err) {
			return
		}
		x.refuse(StatusRefused, bodyRefusal(err))
		return
	}
	if x.plan.batch != nil {
		x.serveBatch()
		return
	}
	if x.plan.late && x.turnedAway() {
		return
	}
	if err := checkDigest(x.plan.policy.Fingerprint.Digest, x.request.Header, x.body.b); err != nil {
		x.refuse(StatusRefused, refusal{kind: problemBodyBroken, detail: sentence(err)})
		return
	}
	x.decide()
}

// turnedAway finds the request's key. It reports whether the request was answered, as one that is not acceptable or has none.
func (x *exchange) turnedAway() bool {
	switch f := x.identify(); {
	case f.kind != problemNone:
		x.refuse(StatusRefused, f)
	case x.key.none() && !x.derives():
		x.pass()
	default:
		return false
	}
	return true
}

// pass lets a request without a key through.
func (x *exchange) pass() {
	r, body := x.unprotected()
	x.release() // it may take long
	x.m.passOn(x.next, x.client, r, body)
	x.report(StatusUnkeyed, 0, problemNone)
}

// verify says what is wrong with the request's signature, if the policy asks for one.
func (x *exchange) verify() refusal {
	if verify := x.plan.policy.Verify; verify != nil {
		if err := verify(x.request, x.body.b); err != nil {
			x.m.log.Info("request refused: it is not what its sender signed", "route", x.plan.pattern, "err", err)
			return refusal{kind: problemUnverified}
		}
	}
	return refusal{}
}

// identify finds the key and returns what is not acceptable about the request. A request may have none.
func (x *exchange) identify() refusal {
	if f := x.verify(); f.kind != problemNone {
		return f
	}
	var body []byte
	if x.body != nil {
		body = x.body.b
	}
	var err error
	x.key, err = x.plan.key.read(x.request, body, x.work)
	has := !x.key.none()
	switch {
	case err != nil:
		return refusal{kind: problemKeyInvalid, detail: sentence(err)}
	case !has && x.plan.key.required:
		return refusal{kind: problemKeyMissing}
	case has && x.plan.policy.Mode == Refuse:
		return refusal{kind: problemUnsupported}
	case has && upgrades(x.request):
		return refusal{kind: problemUpgrade}
	}
	if has {
		if x.caller, err = x.plan.scope.caller(x.request); err != nil {
			return unproven(x.caller.source, err)
		}
	}
	if has && x.plan.sequence != nil && !x.caller.private() {
		return refusal{kind: problemKeyInvalid, detail: "A number without a caller. Send it with the caller's credential."}
	}
	if x.plan.firstSent == "" {
		return refusal{}
	}
	return x.plan.checkFirstSent(x.request.Header, has, x.plan.clock.now())
}

// unprotected returns the request for a handler that runs without a claim, and its body if an answer may repeat something of it.
func (x *exchange) unprotected() (*http.Request, []byte) {
	r := stripped(x.request)
	if x.body == nil {
		return r, nil
	}
	c, body := *r, slices.Clone(x.body.b)
	c.Body = &bodyReader{rest: body}
	if !x.plan.speech.asks {
		body = nil // which may be long, and the handler take long
	}
	return &c, body
}

// decide asks the guard and does what it says.
func (x *exchange) decide() {
	a, err := x.begin()
	switch {
	case err == nil && a.Verdict == refrain.Run:
		if k := x.admit(a); k != problemNone {
			x.refuse(StatusRefused, k.refusal())
			return
		}
		x.execute(a)
	case err == nil:
		x.answer(a)
	case !errors.Is(err, refrain.ErrUnavailable):
		x.refuse(StatusRefused, refusal{kind: problemKeyInvalid, detail: sentence(err)})
	case x.plan.operation.StoreDown == refrain.FailOpen && !errors.Is(err, refrain.ErrClosed) && x.plan.sequence == nil:
		x.bypass() // but a guard that is closing is no store that is down, and without its mark no number is known to be new
	default:
		x.m.log.Error("request refused: the store is away", "route", x.plan.pattern, "err", err)
		x.refuse(StatusRefused, problemUnavailable.refusal())
	}
}

// begin claims the operation.
func (x *exchange) begin() (*refrain.Attempt, error) {
	op := x.operation()
	if x.plan.probe != nil && !x.key.derived {
		op.Probe = x.m.prober.about(x.plan.probe, x.request, op)
	}
	return x.m.guard.Begin(x.request.Context(), op)
}

func (x *exchange) operation() refrain.Operation {
	digest := &x.plan.fingerprint
	if x.caller.principal == "" {
		digest = &x.plan.strangers
	}
	if echoes := x.plan.echoes; len(echoes) > 0 {
		x.work.read(x.body.b, echoes[0].at.tree) // once, for the fingerprint and for what is repeated
	}
	x.scope = x.plan.scope.bind(x.plan.scope.of(x.request, x.caller.principal), x.body.b, x.work)
	op := refrain.Operation{Scope: x.scope, Key: x.key.value, KeyBytes: x.key.built, Policy: &x.plan.operation}
	digest.put(&op, x)
	if x.key.derived {
		x.plan.derive.name(&op, x.request.Host, x.work)
	}
	return op
}

// bypass runs the request unprotected and marks the answer.
func (x *exchange) bypass() {
	x.mark(marking{status: StatusBypassed})
	r, body := x.unprotected()
	x.m.passOn(x.next, x.client, r, body)
	x.report(StatusBypassed, 0, problemNone)
}

// release gives the exchange's memory back, if that was not done.
func (x *exchange) release() {
	if x.body != nil {
		x.m.buffers.put(x.body)
	}
	if x.work != nil {
		x.m.buffers.putWorkspace(x.work)
	}
	x.body, x.work = nil, nil
}

// report tells the observer what became of the request.
func (x *exchange) report(s Status, code int, k problemKind) {
	if x.m.observer == nil {
		return
	}
	e := Event{Route: x.plan.pattern, Mode: x.plan.policy.Mode, Status: s, Code: code, Took: time.Since(x.start)}
	if k != problemNone {
		e.Problem = k.describe().code
	}
	x.m.observer.ObserveRequest(e)
}

// upgrades reports whether a request asks for another protocol on its connection.
func upgrades(r *http.Request) bool {
	return len(r.Header["Upgrade"]) > 0 && hasElement(r.Header["Connection"], "Upgrade")
}
