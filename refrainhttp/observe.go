package refrainhttp

import (
	"context"
	"errors"

	"github.com/refrain-dev/refrain"
)

// watch reports what would have become of the request in enforce mode, and forwards it. Neither the request nor the
// answer is changed, the handler runs in its client's context, and its bytes flow as it writes them. Two things are
// different from a server without the middleware: the handler starts when the body is read, or its limit, and a claim
// is made first.
//
// Outcomes are recorded after the answer, so that the mode can be switched to enforce later; one that could not be
// recorded is only logged.
func (x *exchange) watch() {
	if !x.plan.late && x.noted() {
		return
	}
	room := holding{of: &x.m.bodies}
	defer room.release()
	x.body = x.m.buffers.get()
	err := readBody(x.body, x.request, x.plan.policy.Limits.RequestBody, &room)
	body := &bodyReader{rest: x.body.b, tail: x.request.Body}
	defer body.end()
	if err != nil && !errors.Is(err, errTooLarge) && !errors.Is(err, errNoRoom) {
		body.tail = failing{err}
	}
	if len(x.body.b) > 0 {
		r := *x.request
		r.Body = body
		x.request = &r
	}
	if err != nil {
		if x.key.derived && errors.Is(err, errTooLarge) {
			x.forward(StatusUnkeyed, 0, problemNone)
			return
		}
		f := bodyRefusal(err)
		x.forward(StatusRefused, 0, f.kind)
		return
	}
	if x.plan.late && x.noted() {
		return
	}
	if checkDigest(x.plan.policy.Fingerprint.Digest, x.request.Header, x.body.b) != nil {
		x.forward(StatusRefused, 0, problemBodyBroken)
		return
	}
	x.witness()
}

// noted is turnedAway for a request that is forwarded in any case.
func (x *exchange) noted() bool {
	switch f := x.identify(); {
	case f.kind != problemNone:
		x.forward(StatusRefused, 0, f.kind)
	case x.key.none() && !x.derives():
		x.forward(StatusUnkeyed, 0, problemNone)
	default:
		return false
	}
	return true
}

// witness asks the guard, and forwards whatever it says.
func (x *exchange) witness() {
	a, err := x.begin()
	switch {
	case err != nil && !errors.Is(err, refrain.ErrUnavailable):
		x.forward(StatusRefused, 0, problemKeyInvalid)
	case err != nil && x.plan.operation.StoreDown == refrain.FailOpen:
		x.forward(StatusBypassed, 0, problemNone)
	case err != nil:
		x.forward(StatusRefused, 0, problemUnavailable)
	case a.Verdict == refrain.Run:
		if k := x.admit(a); k != problemNone {
			x.forward(StatusRefused, 0, k)
			return
		}
		x.record(a)
	default:
		status, code, kind := x.wouldBe(a)
		x.forward(status, code, kind)
	}
}

// wouldBe returns what the answer to a verdict that runs nothing would be.
func (x *exchange) wouldBe(a *refrain.Attempt) (Status, int, problemKind) {
	o := a.Record.Outcome
	switch a.Verdict {
	case refrain.InFlight:
		return StatusInProgress, 0, problemInProgress
	case refrain.Mismatch:
		return StatusMismatch, 0, problemMismatch
	case refrain.Expired:
		return StatusExpired, 0, problemExpired
	case refrain.Unknown:
		if o == nil || o.Omitted {
			return StatusUnknown, 0, problemUnknown
		}
		return StatusUnknown, o.Status, problemNone
	}
	if o.Omitted {
		return StatusReplayed, 0, problemNotReplayable
	}
	return StatusReplayed, o.Status, problemNone
}

// forward lets the request through after it said what would have become of it.
func (x *exchange) forward(s Status, code int, k problemKind) {
	if k != problemNone {
		code = x.plan.speech.words[k].status
	}
	x.report(s, code, k)
	if s != StatusUnkeyed {
		x.m.log.Info("observed: request would have been answered otherwise",
			"route", x.plan.pattern, "would", s, "code", code)
	}
	if x.body == nil {
		x.release() // it may take long
	}
	x.next.ServeHTTP(x.client, x.request)
}

// record runs the request under its claim and records the outcome behind the answer's back. The guard's Close waits for
// that.
func (x *exchange) record(a *refrain.Attempt) {
	w := newWitness(x.client, x.plan.policy.Limits.ResponseBody, x.m.buffers.get())
	returned := false
	defer func() {
		c := w.capture()
		c.cookies = x.caller.private()
		c.truncated = c.truncated || !returned
		class := c.class(x.plan.classes, &w.chosen, x.work)
		end := c.ending(class, x.work)
		end.keep = x.keep(c.status)
		x.m.buffers.put(w.buf)
		status := StatusExecuted
		if class == Unknown {
			status = StatusUnknown
		}
		x.report(status, c.status, problemNone)
		client := x.request.Context()
		go func() { _ = end.settle(client, a) }() // the guard logs what goes wrong
	}()
	ctx := context.WithValue(x.request.Context(), choiceKey{}, &w.chosen)
	x.next.ServeHTTP(w, x.request.WithContext(ctx))
	returned = true
}

// failing gives an error again.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
