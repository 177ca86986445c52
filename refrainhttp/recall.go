package refrainhttp

import (
	"bytes"
	"net/http"
	"time"

	"github.com/refrain-dev/refrain"
)

// A Recaller answers requests from memory, for servers that can do so before they go to any length. The handlers that
// Middleware.Wrap returns are Recallers.
type Recaller interface {
	// MayRecall reports false if ServeRecalled cannot answer a request with that head, its request line and fields as they
	// came. It is quick.
	MayRecall(head []byte) bool
	// ServeRecalled answers the request, whose body was read, as ServeHTTP would, if it is a duplicate of an operation
	// whose outcome is in memory; see refrain.Config.Recall. For any other it does nothing and reports false. It does not
	// read the request's Body or RemoteAddr, and its answer has no trailers.
	//
	// If again is not nil, requests that come as the very same bytes may be given the same answer, but for its Date: each
	// after again was called for it and reported true, which counts it as answered. It may be called concurrently.
	ServeRecalled(w http.ResponseWriter, r *http.Request, body []byte) (again func() bool, ok bool)
}

var _ Recaller = (*protected)(nil)

// MayRecall implements Recaller.
func (p *protected) MayRecall(head []byte) bool {
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, []byte("\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !p.m.routes.namesKey(name) {
			continue
		}
		value = bytes.Trim(bytes.TrimSpace(value), `"`) // an escape inside is for ServeHTTP
		if p.m.guard.MayRecall(string(value)) {
			return true
		}
	}
	return false
}

// ServeRecalled implements Recaller.
func (p *protected) ServeRecalled(w http.ResponseWriter, r *http.Request, body []byte) (again func() bool, ok bool) {
	if safe(r.Method) || len(r.Header["Te"]) > 0 || upgrades(r) {
		return nil, false
	}
	found := p.m.routes.find(r)
	if found == nil || !found.recalls || int64(len(body)) > found.policy.Limits.RequestBody {
		return nil, false
	}
	x := newExchange(p, found, w, r)
	defer x.release()
	var err error
	if x.key, err = found.key.read(r, nil, x.work); err != nil || x.key.none() {
		return nil, false
	}
	if x.caller, err = found.scope.caller(r); err != nil {
		return nil, false
	}
	x.body = p.m.buffers.get()
	x.body.b = append(x.body.b, body...)
	op := x.operation()
	a, ok := p.m.guard.Recall(op)
	if !ok {
		return nil, false
	}
	x.answer(a)
	if o := a.Record.Outcome; a.Verdict != refrain.Replay || o == nil || o.Omitted || found.speech.repeats {
		return nil, true // it is a problem document, and those are rare
	}
	if op.FingerprintAs = nil; a.Record.Fingerprint.Version() != op.FingerprintVersion {
		return nil, true // comparing takes the body, which is gone when the repetition comes
	}
	return newRepetition(&x, op, a).again, true
}

// A repetition is what a replay from memory rests on.
type repetition struct {
	m         *Middleware
	plan      *plan
	operation refrain.Operation
	claim     refrain.Token // whose outcome was replayed
	status    int
	ends      time.Time // by this process's clock, when the outcome may have expired
}

func newRepetition(x *exchange, op refrain.Operation, a *refrain.Attempt) *repetition {
	op.KeyBytes = bytes.Clone(op.KeyBytes)
	return &repetition{
		m:         x.m,
		plan:      x.plan,
		operation: op,
		claim:     a.Record.Token,
		status:    a.Record.Outcome.Status,
		ends:      time.Now().Add(a.Record.Retain.Sub(a.Now)),
	}
}

// again is ServeRecalled for a request whose answer is known. It asks the guard all the same: what the guard has forgotten,
// or knows another outcome of, is not repeated.
func (r *repetition) again() bool {
	x := exchange{m: r.m, plan: r.plan, start: time.Now()}
	if !x.start.Before(r.ends) {
		return false
	}
	a, ok := r.m.guard.Recall(r.operation)
	if !ok || a.Verdict != refrain.Replay || a.Record.Token != r.claim {
		return false
	}
	x.report(StatusReplayed, r.status, problemNone)
	return true
}
