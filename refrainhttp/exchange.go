package refrainhttp

import (
	"errors"
	"net/http"
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

	key   clientKey
	scope refrain.Scope
	body  *buffer
	work  *workspace
}

func newExchange(p *protected, found *plan, w http.ResponseWriter, r *http.Request) exchange {
	x := exchange{m: p.m, next: p.next, plan: found, client: w, request: r}
	if p.m.observer != nil {
		x.start = time.Now()
	}
	return x
}

// serve enforces the policy.
func (x *exchange) serve() {
	var err error
	x.key, err = x.plan.key.read(x.request.Header)
	switch {
	case errors.Is(err, errNoKey) && !x.plan.key.required:
		x.next.ServeHTTP(x.client, stripped(x.request))
		x.report(StatusUnkeyed, 0, problemNone)
		return
	case errors.Is(err, errNoKey):
		x.refuse(StatusRefused, refusal{kind: problemKeyMissing})
		return
	case err != nil:
		x.refuse(StatusRefused, refusal{kind: problemKeyInvalid, detail: sentence(err)})
		return
	case upgrades(x.request):
		x.refuse(StatusRefused, refusal{kind: problemUpgrade})
		return
	}
	room := bodyRoom(x.request, x.plan.policy.Limits.RequestBody)
	if !x.m.bodies.take(room) {
		x.refuse(StatusRefused, refusal{kind: problemUnavailable, retryAfter: unavailableRetry})
		return
	}
	defer x.m.bodies.give(room)
	x.body, x.work = x.m.buffers.get(), x.m.buffers.workspace()
	defer x.release()
	if err := readBody(x.body, x.request, x.plan.policy.Limits.RequestBody); err != nil {
		x.refuse(StatusRefused, bodyRefusal(err))
		return
	}
	x.decide()
}

// decide asks the guard and does what it says.
func (x *exchange) decide() {
	a, err := x.begin()
	switch {
	case err == nil && a.Verdict == refrain.Run:
		x.execute(a)
	case err == nil:
		x.answer(a)
	case !errors.Is(err, refrain.ErrUnavailable):
		x.refuse(StatusRefused, refusal{kind: problemKeyInvalid, detail: sentence(err)})
	case x.plan.operation.StoreDown == refrain.FailOpen && !errors.Is(err, refrain.ErrClosed):
		x.bypass() // but a guard that is closing is no store that is down
	default:
		x.m.log.Error("request refused: the store is away", "route", x.plan.pattern, "err", err)
		x.refuse(StatusRefused, refusal{kind: problemUnavailable, retryAfter: unavailableRetry})
	}
}

// begin claims the operation.
func (x *exchange) begin() (*refrain.Attempt, error) {
	return x.m.guard.Begin(x.request.Context(), x.operation())
}

func (x *exchange) operation() refrain.Operation {
	x.scope = x.plan.scope.of(x.request)
	digest := &x.plan.fingerprint
	if x.scope.Principal == "" {
		digest = &x.plan.strangers
	}
	return refrain.Operation{
		Scope:       x.scope,
		Key:         x.key.value,
		Fingerprint: digest.of(x.request, x.body.b, x.work),
		Policy:      &x.plan.operation,
	}
}

// bypass runs the request unprotected and marks the answer.
func (x *exchange) bypass() {
	body := &bodyReader{rest: x.body.b}
	defer body.end()
	r := *stripped(x.request)
	r.Body = body
	x.client.Header().Set(headerStatus, string(StatusBypassed))
	x.client.Header().Set(headerKey, x.key.raw)
	x.next.ServeHTTP(x.client, &r)
	x.report(StatusBypassed, 0, problemNone)
}

// release gives the exchange's memory back.
func (x *exchange) release() {
	x.m.buffers.put(x.body)
	x.m.buffers.putWorkspace(x.work)
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
