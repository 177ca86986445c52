package refrainhttp

import (
	"net/http"
	"strconv"
	"time"

	"github.com/refrain-dev/refrain"
)

const (
	unavailableRetry = 1 // second
	// longestRetry bounds Retry-After of an operation in flight: a lease says how long its owner may be silent, not how
	// long it works.
	longestRetry = 5 * time.Second
)

// answer gives a verdict that runs nothing.
func (x *exchange) answer(a *refrain.Attempt) {
	switch a.Verdict {
	case refrain.Replay:
		status := StatusReplayed
		if a.Unrecorded {
			status = StatusUnrecorded
		}
		x.replay(a, status)
	case refrain.InFlight:
		x.refuse(StatusInProgress, refusal{kind: problemInProgress, retryAfter: retryAfter(a)})
	case refrain.Mismatch:
		x.refuse(StatusMismatch, refusal{kind: problemMismatch, recorded: a.Record.Outcome})
	case refrain.Expired:
		x.refuse(StatusExpired, refusal{kind: problemExpired})
	default:
		x.replay(a, StatusUnknown)
	}
}

// retryAfter returns the seconds that are left of a lease, at least one.
func retryAfter(a *refrain.Attempt) int {
	left := min(a.Record.Lease.Sub(a.Now), longestRetry)
	return max(1, int((left+time.Second-1)/time.Second))
}

// replay gives a recorded answer again, or says why it cannot.
func (x *exchange) replay(a *refrain.Attempt, status Status) {
	o := a.Record.Outcome
	if o == nil || o.Omitted {
		x.withhold(o, status)
		return
	}
	if x.plan.speech.repeats && status == StatusReplayed && o.Status/100 == 2 {
		x.refuse(status, refusal{kind: problemRepeat, recorded: o})
		return
	}
	var fields [16]field
	s, err := decodeStored(fields[:0], o.Meta)
	if err != nil {
		x.m.log.Error("recorded answer cannot be given", "op", a.ID(), "route", x.plan.pattern, "err", err)
		x.withhold(o, status)
		return
	}
	body, s, ok := x.echoed(o, s)
	if !ok {
		x.withhold(o, status)
		return
	}
	x.give(&a.Record, &s, body, status)
	x.report(status, o.Status, problemNone)
}

// give sends a recorded answer with that body.
func (x *exchange) give(r *refrain.Record, s *stored, body []byte, status Status) {
	o, first := r.Outcome, status == StatusExecuted
	h := x.client.Header()
	for _, f := range s.header {
		if first || x.plan.replay == nil || x.plan.replay[http.CanonicalHeaderKey(f.name)] {
			h[f.name] = f.lines
		}
	}
	m := marking{status: status, code: o.Status, replayed: !first}
	if first || status == StatusReplayed {
		m.expires = x.m.dates.format(r.Retain)
	}
	x.mark(m)
	if !hasElement(x.request.Header["Te"], "trailers") {
		s.trailer = nil
	}
	if bodyAllowed(o.Status) && len(s.trailer) == 0 {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	send(x.client, o.Status, body, s.trailer)
}

// withhold answers when there is no recorded answer to give.
func (x *exchange) withhold(o *refrain.Outcome, status Status) {
	f := refusal{kind: problemNotReplayable, recorded: o}
	if status == StatusUnknown {
		f.kind = problemUnknown
	}
	x.refuse(status, f)
}
