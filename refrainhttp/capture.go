package refrainhttp

import (
	"context"
	"net/http"

	"github.com/refrain-dev/refrain"
)

// A capture is a handler's answer, ready to be classed and recorded.
type capture struct {
	status    int
	header    http.Header // as the client gets it, without what this package adds
	inherited http.Header // what was in it before the handler ran
	trailer   []field
	body      []byte
	cookies   bool // whether Set-Cookie may be stored
	omitted   bool // the body flowed and is not here
	truncated bool // it is not whole, or may not be
}

// class returns what the answer means: what the handler said, else what its status says. Half an answer tells nothing
// but that the request was turned away, if that is what its status says.
func (c *capture) class(t *classes, chosen *choice, work *workspace) Class {
	class := Class(chosen.class.Load())
	if class == 0 {
		class = t.classify(c, work)
	}
	if c.truncated && class == Final {
		return Unknown
	}
	return class
}

// An ending is how an answer ends its operation, and what is recorded of it.
type ending struct {
	class   Class
	outcome refrain.Outcome
	kept    bool         // the outcome is there
	keep    refrain.Keep // for how long, if it is final
}

// ending returns that of the answer under the class. An answer that does not tell whether the operation happened is kept
// only if nobody can take it for a success.
func (c *capture) ending(class Class, work *workspace) ending {
	if class == Release || class == Unknown && (c.status < 400 || c.truncated) {
		return ending{class: class}
	}
	var room [16]field
	s := stored{header: storable(room[:0], c), trailer: c.trailer}
	meta := s.append(work.b[:0])
	work.b = meta
	body := c.body
	if c.omitted {
		body = nil
	}
	n := len(meta)
	kept := append(append(make([]byte, 0, n+len(body)), meta...), body...) // one allocation for both
	o := refrain.Outcome{Status: c.status, Meta: kept[:n:n], Body: kept[n:], Omitted: c.omitted}
	return ending{class: class, outcome: o, kept: true}
}

// settle ends the attempt's claim.
func (e *ending) settle(ctx context.Context, a *refrain.Attempt) error {
	switch {
	case e.class == Final:
		return a.FinishFor(ctx, e.outcome, e.keep)
	case e.class == Release:
		return a.Release(ctx)
	case e.kept:
		o := e.outcome // so that only this case needs a place for it beyond the request
		return a.MarkUnknown(ctx, &o)
	}
	return a.MarkUnknown(ctx, nil)
}

// sniff returns the Content-Type that net/http would add to an answer, or "".
func sniff(h http.Header, body []byte) string {
	if _, typed := h["Content-Type"]; typed || len(h["Content-Encoding"]) > 0 || len(body) == 0 {
		return ""
	}
	return http.DetectContentType(body)
}
