package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// forward sends a guarded request to the upstream, once, and copies the answer. The middleware around it has read the
// body, bounded the time, and captures what is written.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) {
	message := p.messages.Get().(*[]byte)
	var err error
	if *message, err = appendRequest((*message)[:0], r, p.base); err != nil {
		p.fail(w, r, fmt.Errorf("%w: reading its body: %w", errNotSent, err))
		return
	}
	c, err := p.upstream.send(r.Context(), *message)
	if cap(*message) <= atOnce { // else it may still be being sent
		p.messages.Put(message)
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	kept, more := false, false
	defer func() {
		if !kept {
			c.leave(more)
		}
	}()
	stop := interrupting(r.Context(), c)
	resp, err := c.answer(r, func(interim *http.Response) { passOn(w, interim) })
	if err == nil {
		err = p.copyAnswer(w, r, resp)
	}
	switch {
	case err == nil && !resp.Close:
		if more = stop(); more && c.sent() {
			kept = true
			p.upstream.keep(c)
		}
	case err != nil && refrainhttp.Retract(w):
		p.fail(w, r, fmt.Errorf("reading the answer: %w", err))
	case err != nil:
		p.log.Warn("the upstream cut its answer short", "method", r.Method, "err", err)
		panic(http.ErrAbortHandler) // the client has part of it, and must not take it for a whole one
	}
}

// interrupting sees to it that a request ends with its context, where that may end before its deadline. It reports false from
// stop if it did, or is about to: the connection is of no use to others then.
func interrupting(ctx context.Context, c *conn) (stop func() bool) {
	if !refrainhttp.IsBatch(ctx) {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
}

// passOn forwards an interim answer (RFC 9110, section 15.2).
func passOn(w http.ResponseWriter, interim *http.Response) {
	h := w.Header()
	copyFields(h, interim.Header)
	w.WriteHeader(interim.StatusCode)
	clear(h)
}

// fail answers for an upstream that did not. A request of which nothing was sent is released; any other may have been
// carried out.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	failure := refrainhttp.Unanswered
	switch {
	case errors.Is(err, errNotSent):
		failure = refrainhttp.Unreachable
	case errors.Is(err, os.ErrDeadlineExceeded):
		failure = refrainhttp.TimedOut
	}
	p.log.Warn("upstream failed", "method", r.Method, "sent", failure != refrainhttp.Unreachable, "err", err)
	if !refrainhttp.Fail(w, r, failure) {
		unanswered(err).write(w)
	}
}
