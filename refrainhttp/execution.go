package refrainhttp

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/refrain-dev/refrain"
)

// An execution is a request that runs and the claim it runs under. It is also the request's context: that of the attempt,
// with room for what the handler says about the outcome.
type execution struct {
	context.Context
	x        *exchange
	attempt  *refrain.Attempt
	recorder recorder
	override override
	body     bodyReader
	settled  bool
	status   Status
}

// Value implements context.Context.
func (e *execution) Value(key any) any {
	if key == (overrideKey{}) {
		return &e.override
	}
	return e.Context.Value(key)
}

// execute runs the handler in the client's goroutine but not in its context, records the outcome, and only then answers.
func (x *exchange) execute(a *refrain.Attempt) Status {
	e := &execution{x: x, attempt: a, body: bodyReader{rest: x.body.b}}
	var cancel context.CancelFunc
	e.Context, cancel = a.Context(x.request.Context())
	defer cancel()
	e.recorder.buf = x.m.buffers.get()
	e.recorder.gate, e.recorder.chunks = e, &x.m.buffers
	e.recorder.start(x.client, x.plan.policy.Limits.ResponseBody)
	defer e.end()

	x.next.ServeHTTP(&e.recorder, x.forwarded(e))

	e.body.end()
	e.recorder.finish()
	e.reply()
	x.m.buffers.put(e.recorder.buf)
	return e.status
}

// end leaves an operation whose handler did not return, because of a panic or runtime.Goexit, as unknown: its effect may
// have happened.
func (e *execution) end() {
	e.body.end()
	if e.settled {
		return
	}
	e.settle(Unknown, nil)
	e.recorder.abandon()
	e.x.report(StatusUnknown, 0, problemNone)
}

// reply settles the outcome of a whole answer and sends it.
func (e *execution) reply() {
	trailer := e.recorder.trailer()
	if e.recorder.flowing {
		setTrailer(e.recorder.client, trailer)
		if !e.settled {
			e.settle(Release, nil)
		}
		return
	}
	class := e.class()
	e.settle(class, e.outcome(class, trailer))
	e.mark()
	e.recorder.deliver(trailer)
}

// class returns what the answer means.
func (e *execution) class() Class {
	switch c := e.override.get(); {
	case e.recorder.truncated():
		return Unknown
	case c != 0:
		return c
	}
	return e.x.plan.classes.classify(e.recorder.status, e.recorder.client.Header())
}

// outcome returns what is recorded of the answer. An answer that does not tell whether it happened is kept only if nobody
// can take it for a success.
func (e *execution) outcome(c Class, trailer []field) *refrain.Outcome {
	r := &e.recorder
	if c == Release || c == Unknown && (r.status < 400 || r.truncated()) {
		return nil
	}
	var room [16]field
	s := stored{
		header:  storable(room[:0], r.client.Header(), r.inherited, e.x.scope.Principal != ""),
		trailer: trailer,
	}
	meta := e.x.scratch()
	meta.b = s.append(meta.b[:0])
	n := len(meta.b)
	b := append(append(make([]byte, 0, n+len(r.buf.b)), meta.b...), r.buf.b...)
	return &refrain.Outcome{Status: r.status, Meta: b[:n:n], Body: b[n:]}
}

// beforeFlow implements gate: what is not kept is recorded as done before the client sees any of it. An answer that says
// nothing happened is settled at its end: its handler still runs.
func (e *execution) beforeFlow() {
	class := e.override.get()
	if class == 0 {
		class = e.x.plan.classes.classify(e.recorder.status, e.recorder.client.Header())
	}
	e.status = StatusExecuted
	if class != Release {
		o := e.outcome(Final, nil)
		o.Body, o.Omitted = nil, true
		e.settle(class, o)
	}
	e.mark()
}

// settle ends the claim and notes what the client is told about it.
func (e *execution) settle(c Class, o *refrain.Outcome) {
	e.settled = true
	var err error
	switch c {
	case Final:
		e.status = StatusExecuted
		err = e.attempt.Finish(e, *o)
	case Release:
		e.status = StatusExecuted
		err = e.attempt.Release(e)
	default:
		e.status = StatusUnknown
		err = e.attempt.MarkUnknown(e, o)
	}
	if errors.Is(err, refrain.ErrUnrecorded) || errors.Is(err, refrain.ErrStale) {
		e.status = StatusUnrecorded
	}
}

// mark sets the header fields that say what the answer is.
func (e *execution) mark() {
	h := e.recorder.client.Header()
	delete(h, headerReplayed)
	delete(h, headerExpires)
	h[headerKey] = []string{e.x.key.raw}
	h[headerStatus] = []string{string(e.status)}
	if r := &e.attempt.Record; e.status == StatusExecuted && r.State == refrain.StateDone {
		h[headerExpires] = []string{r.Retain.UTC().Format(http.TimeFormat)}
	}
}

// forwarded returns the request as the handler gets it.
func (x *exchange) forwarded(e *execution) *http.Request {
	r := x.request.WithContext(e)
	r.Body = &e.body
	r.GetBody = nil
	if len(r.Trailer) == 0 {
		r.ContentLength, r.TransferEncoding = int64(len(x.body.b)), nil
	}
	r.Header = ownHeader(r.Header, x.plan.key.headers)
	r.Header[headerAttempt] = []string{e.attempt.ID().String() + "-" + strconv.FormatUint(e.attempt.Fence(), 10)}
	r.Header[headerFence] = []string{strconv.FormatUint(e.attempt.Fence(), 10)}
	if len(r.Header["Accept-Encoding"]) > 0 {
		// The retry may accept other codings than this request; compression belongs in front, for each attempt anew.
		r.Header["Accept-Encoding"] = []string{"identity"}
	}
	return r
}
