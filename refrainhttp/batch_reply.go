package refrainhttp

import (
	"bytes"
	"maps"
	"net/http"
	"strconv"

	"github.com/refrain-dev/refrain"
)

// handOver gives an answer that does not tell items apart as it is. One that is lost is told of.
func (b *batchExchange) handOver() {
	w := &b.whole
	status := b.status()
	if w.omitted || w.truncated && w.class == Unknown {
		h := b.client.Header()
		clear(h)
		maps.Copy(h, w.inherited)
		k := problemNotReplayable
		if w.class == Unknown {
			k = problemUnknown
		}
		b.refuse(status, k.refusal())
		return
	}
	b.send(status, w.status, w.body)
}

// status returns what the answer to a batch of which something was forwarded is.
func (b *batchExchange) status() Status {
	switch {
	case b.whole.forced:
		return StatusUnrecorded
	case !b.whole.mapped && b.whole.class == Unknown:
		return StatusUnknown
	case b.whole.failure == problemUnreachable:
		return StatusRefused
	}
	return StatusExecuted
}

// An envelope is what a combined answer is built from: an answer and where its array is.
type envelope struct {
	status int
	body   []byte
	array  array
}

// reply answers with the answers of all items: in the envelope of the answer that just came, else in that of the first record.
func (b *batchExchange) reply() {
	var base *envelope
	status := StatusReplayed
	if b.whole.mapped {
		base, status = &envelope{b.whole.status, b.whole.body, b.whole.array}, b.status()
	}
	problems, retryAfter := make([]problemKind, 0, len(b.items)), 0
	for i := range b.items {
		it := &b.items[i]
		if it.answer != nil {
			continue
		}
		f := b.recorded(it, &base)
		if f.kind == problemNone {
			continue
		}
		problems, retryAfter = append(problems, f.kind), max(retryAfter, f.retryAfter)
		it.answer = b.problem(it, f)
	}
	if base == nil && alike(problems) {
		b.refuse(statusOf(problems[0]), refusal{kind: problems[0], retryAfter: retryAfter})
		return
	}
	b.combine(base, status, len(problems) > 0, retryAfter)
}

func alike(kinds []problemKind) bool {
	for _, k := range kinds {
		if k != kinds[0] {
			return false
		}
	}
	return true
}

// recorded finds the answer of an item that was not forwarded, or says why there is none. The first record is the base, with its
// header, if there is none yet.
func (b *batchExchange) recorded(it *item, base **envelope) refusal {
	a := it.attempt
	switch a.Verdict {
	case refrain.InFlight:
		return refusal{kind: problemInProgress, retryAfter: retryAfter(a)}
	case refrain.Mismatch:
		return problemMismatch.refusal()
	case refrain.Expired:
		return problemExpired.refusal()
	case refrain.Unknown:
		return problemUnknown.refusal()
	case refrain.Replay, refrain.Run:
	}
	o := a.Record.Outcome
	if o == nil || o.Omitted {
		return problemNotReplayable.refusal()
	}
	found, err := b.plan.batch.answers.find(o.Body, b.work)
	s, bad := decodeStored(nil, o.Meta)
	if err != nil || bad != nil || len(found.elements) != 1 {
		b.m.log.Error("recorded answer of an item cannot be given", "op", a.ID(), "route", b.plan.pattern)
		return problemNotReplayable.refusal()
	}
	it.answer = o.Body[found.elements[0].start:found.elements[0].end]
	if *base == nil {
		*base = &envelope{o.Status, o.Body, found}
		h := b.client.Header()
		for _, f := range s.header {
			if b.plan.replay == nil || b.plan.replay[http.CanonicalHeaderKey(f.name)] {
				h[f.name] = f.lines
			}
		}
	}
	return refusal{}
}

// problem returns the document that stands for an item.
func (b *batchExchange) problem(it *item, f refusal) []byte {
	t := &telling{refusal: f, words: &b.plan.speech.words[f.kind], key: it.key}
	return bytes.TrimSpace(t.document())
}

// combine sends the answers of all items.
func (b *batchExchange) combine(base *envelope, status Status, problems bool, retryAfter int) {
	h := b.client.Header()
	if base == nil {
		doc, a := b.plan.batch.answers.wrap()
		base = &envelope{body: doc, array: a}
		h["Content-Type"] = []string{mediaJSON}
	}
	code := base.status
	if problems {
		code = http.StatusMultiStatus
	}
	if retryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(retryAfter)}
	}
	answers := make([][]byte, len(b.items))
	for i := range b.items {
		answers[i] = b.items[i].answer
	}
	b.send(status, code, base.array.with(base.body, answers...))
}

func (b *batchExchange) send(status Status, code int, body []byte) {
	h := b.client.Header()
	b.mark(marking{status: status, code: code, class: b.whole.class, replayed: status == StatusReplayed})
	if delete(h, "Content-Length"); bodyAllowed(code) {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	send(b.client, code, body, nil)
	b.report(status, code, b.whole.failure)
}

// statusOf returns what an answer is that is nothing but a problem.
func statusOf(k problemKind) Status {
	switch k {
	case problemInProgress:
		return StatusInProgress
	case problemMismatch:
		return StatusMismatch
	case problemUnknown:
		return StatusUnknown
	case problemExpired:
		return StatusExpired
	}
	return StatusReplayed
}
