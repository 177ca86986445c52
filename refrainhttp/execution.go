package refrainhttp

import (
	"context"
	"encoding/hex"
	"net/http"
	"strconv"

	"github.com/refrain-dev/refrain"
)

// An execution is a request that runs and the claim it runs under. It is also the request's context: that of the
// attempt, with room for what the handler says about the outcome.
type execution struct {
	context.Context
	x        exchange
	attempt  *refrain.Attempt
	recorder recorder
	chosen   choice
	body     bodyReader
	settled  bool
	failure  problemKind // that the handler has told with Fail
	status   Status
	class    Class
	lines    [2]string // of the header fields that are set here
}

// line returns v as a header field's only line, in the i-th of the execution's.
func (e *execution) line(i int, v string) []string {
	e.lines[i] = v
	return e.lines[i : i+1 : i+1]
}

// Value implements context.Context.
func (e *execution) Value(key any) any {
	switch key {
	case choiceKey{}:
		return &e.chosen
	case executionKey{}:
		return e
	}
	return e.Context.Value(key)
}

// execute runs the handler in the client's goroutine but not in its context, records the outcome, and only then
// answers.
func (x *exchange) execute(a *refrain.Attempt) {
	e := &execution{x: *x, attempt: a} // it may live as long as what the handler leaves behind
	e.body.rest = x.body.b
	var cancel context.CancelFunc
	e.Context, cancel = a.Context(x.request.Context())
	defer cancel()
	e.recorder.buf = x.m.buffers.get()
	e.recorder.gate, e.recorder.chunks = e, &x.m.buffers
	e.recorder.start(x.client, x.plan.policy.Limits.ResponseBody)
	returned := false
	defer func() {
		if !returned {
			e.abort()
		}
	}()

	x.next.ServeHTTP(&e.recorder, e.request())

	returned = true
	e.body.end()
	e.reply()
	x.m.buffers.put(e.recorder.buf)
	x.report(e.status, e.recorder.status, e.failure)
}

// abort leaves an operation whose handler did not return, because of a panic or runtime.Goexit, as unknown: its effect
// may have happened.
func (e *execution) abort() {
	e.body.end()
	if !e.settled {
		e.settle(&ending{class: Unknown})
	}
	e.recorder.abandon()
	e.x.m.log.Warn("handler did not return", "op", e.attempt.ID(), "route", e.x.plan.pattern)
	e.x.report(StatusUnknown, 0, problemNone)
}

// reply settles the outcome of an answer whose handler has returned, and sends what was held back of it.
func (e *execution) reply() {
	c := e.recorder.finish()
	c.truncated = c.truncated || e.chosen.incomplete.Load()
	if !e.settled {
		e.record(&c)
	}
	if c.omitted {
		e.recorder.end(&c)
		return
	}
	if e.giveCommitted() {
		return
	}
	e.mark()
	e.recorder.deliver(&c)
}

// giveCommitted answers from the record if it was made in a transaction that the handler committed. It reports whether there
// is such an answer.
func (e *execution) giveCommitted() bool {
	r := &e.attempt.Record
	if e.status != StatusExecuted || r.State != refrain.StateDone || !e.attempt.InTx() || r.Outcome.Omitted {
		return false
	}
	var room [16]field
	s, err := decodeStored(room[:0], r.Outcome.Meta)
	if err != nil {
		e.x.m.log.Error("answer recorded in a transaction cannot be given: refrainhttp.NewOutcome makes one that can",
			"op", e.attempt.ID(), "route", e.x.plan.pattern, "err", err)
		return false
	}
	e.recorder.abandon()
	e.x.give(r, &s, r.Outcome.Body, StatusExecuted)
	e.recorder.status = r.Outcome.Status
	return true
}

// beforeFlow implements gate: what is not kept is recorded as done before the client sees any of it. Only an answer
// that says nothing happened is settled at its end, for its handler still runs.
func (e *execution) beforeFlow() {
	r := &e.recorder
	c := capture{
		status: r.status, header: r.client.Header(), inherited: r.inherited, body: r.buf.b, omitted: true,
		truncated: e.chosen.incomplete.Load(),
	}
	e.status = StatusExecuted
	if e.class = c.class(e.x.plan.classes, &e.chosen, e.x.work); e.class != Release {
		e.record(&c)
	}
	e.mark()
}

// record settles the outcome and notes what the client is told about it.
func (e *execution) record(c *capture) {
	c.cookies = e.x.caller.private()
	if t := sniff(c.header, c.body); t != "" && bodyAllowed(c.status) {
		c.header["Content-Type"] = []string{t} // else the replay would be sniffed by other rules than the first answer
	}
	class := c.class(e.x.plan.classes, &e.chosen, e.x.work)
	end := c.ending(class, e.x.work)
	end.keep = e.x.keep(c.status)
	e.settle(&end)
}

func (e *execution) settle(end *ending) {
	e.settled, e.class = true, end.class
	err := end.settle(e, e.attempt)
	if err == nil && e.attempt.InTx() { // the transaction has decided, if it could
		switch e.attempt.Record.State {
		case refrain.StateAbsent:
			e.class = Release
		case refrain.StateDone, refrain.StateExpired:
			e.class = Final
		}
	}
	switch {
	case err != nil:
		e.status = StatusUnrecorded // the guard has logged why
	case e.class == Unknown:
		e.status = StatusUnknown
	case e.class == Release && e.failure == problemUnreachable:
		e.status = StatusRefused // it did not run
	default:
		e.status = StatusExecuted
	}
}

// mark sets the header fields that say what the answer is.
func (e *execution) mark() {
	m := marking{status: e.status, code: e.recorder.status, class: e.class}
	if r := &e.attempt.Record; e.status == StatusExecuted && r.State == refrain.StateDone {
		m.expires = e.x.m.dates.format(r.Retain)
	}
	e.x.mark(m)
}

// request returns the request as the handler gets it.
func (e *execution) request() *http.Request {
	r := e.x.forwarded(e, &e.body)
	var room [40]byte
	id := e.attempt.ID()
	name := append(hex.AppendEncode(room[:0], id[:8]), '-') // the name that logs use too
	fence := len(name)
	attempt := string(strconv.AppendUint(name, e.attempt.Fence(), 10))
	r.Header[headerAttempt], r.Header[headerFence] = e.line(0, attempt), e.line(1, attempt[fence:])
	return r
}

// forwarded returns the request for a handler that runs under a claim, with a body of its own that nobody has read from.
func (x *exchange) forwarded(ctx context.Context, body *bodyReader) *http.Request {
	r := x.request.WithContext(ctx)
	r.Body = body
	r.GetBody = nil
	if len(r.Trailer) == 0 {
		r.ContentLength, r.TransferEncoding = int64(len(body.rest)), nil
	}
	r.Header = ownHeader(r.Header, x.plan.key.headers)
	delete(r.Header, "Expect") // it was met when the body was read
	if len(r.Header["Accept-Encoding"]) > 0 {
		// A retry may not accept the coding that this request accepts. Compression belongs in front, for each attempt anew.
		r.Header["Accept-Encoding"] = []string{"identity"}
	}
	return r
}
