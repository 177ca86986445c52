package refrainhttp

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/refrain-dev/refrain"
)

// A whole is the answer to the items that were forwarded.
type whole struct {
	capture
	class  Class
	array  array // in the body
	mapped bool  // it has an answer for each
	forced bool  // some item is not recorded

	failure problemKind // that the handler has told with Fail
}

// A swallower stands between a recorder and the client, who gets the answer later, with others: what must flow is lost.
type swallower struct{ header http.Header }

func (s swallower) Header() http.Header       { return s.header }
func (swallower) WriteHeader(int)             {}
func (swallower) Write(p []byte) (int, error) { return len(p), nil }
func (swallower) beforeFlow()                 {}

// execute forwards the items that run, and records what became of each.
func (b *batchExchange) execute() {
	raws := make([][]byte, 0, len(b.items))
	for i := range b.items {
		if b.items[i].runs() {
			raws = append(raws, b.items[i].raw)
		}
	}
	body := &bodyReader{rest: b.array.with(b.body.b, raws...)}
	defer body.end()
	var chosen choice
	ctx, cancel := b.context()
	defer cancel()
	rec := &recorder{buf: b.m.buffers.get(), gate: swallower{}, chunks: &b.m.buffers}
	rec.start(swallower{b.client.Header()}, b.plan.policy.Limits.ResponseBody)
	returned := false
	defer func() {
		if !returned {
			b.abort(rec)
		}
	}()
	ctx = context.WithValue(context.WithValue(ctx, executionKey{}, b), choiceKey{}, &chosen)
	r := b.forwarded(ctx, body)
	if len(raws) < len(b.items) {
		dropDigests(r.Header)
	}

	b.next.ServeHTTP(rec, r)

	returned = true
	b.whole.capture = rec.finish()
	b.whole.truncated = b.whole.truncated || chosen.incomplete.Load()
	b.whole.body = append([]byte{}, b.whole.body...)
	b.m.buffers.put(rec.buf)
	b.classify(&chosen, len(raws))
	b.record()
}

// context returns a context for the execution of all items that run. It ends as soon as that of one of them would: their one
// request must not outlive any claim that it was sent under. It carries the attempt of one.
func (b *batchExchange) context() (context.Context, context.CancelFunc) {
	var own []context.Context
	var ends []func()
	var deadline time.Time
	for i := range b.items {
		if b.items[i].runs() {
			ctx, end := b.items[i].attempt.Context(b.request.Context())
			if d, _ := ctx.Deadline(); len(own) == 0 || d.Before(deadline) {
				deadline = d
			}
			own, ends = append(own, ctx), append(ends, end)
		}
	}
	ctx, cancel := context.WithDeadline(own[0], deadline)
	for _, c := range own[1:] {
		stop := context.AfterFunc(c, cancel)
		ends = append(ends, func() { stop() })
	}
	return ctx, func() {
		cancel()
		for _, end := range slices.Backward(ends) {
			end()
		}
	}
}

// abort leaves items whose handler did not return as unknown.
func (b *batchExchange) abort(rec *recorder) {
	b.each(func(i *item) { _ = i.attempt.MarkUnknown(b.request.Context(), nil) })
	rec.abandon()
	b.m.log.Warn("handler of a batch did not return", "route", b.plan.pattern)
	b.report(StatusUnknown, 0, problemNone)
}

// dropDigests removes the fields that tell of a body's bytes, which are others now.
func dropDigests(h http.Header) {
	for _, name := range [...]string{"Content-Digest", "Repr-Digest", "Digest", "Content-Md5", "Etag"} {
		delete(h, name)
	}
}

// classify finds the answer of each of the n items that were forwarded, and its class.
func (b *batchExchange) classify(chosen *choice, n int) {
	w := &b.whole
	w.cookies = b.caller.private()
	w.class = w.capture.class(b.plan.classes, chosen, b.work)
	if w.class == Final && !w.omitted {
		a, err := b.plan.batch.answers.find(w.body, b.work)
		w.array, w.mapped = a, err == nil && len(a.elements) == n && len(w.header["Content-Encoding"]) == 0 && b.inOrder(a)
	}
	if !w.mapped {
		if w.class = w.classUnmapped(b.plan.batch); w.omitted {
			w.body = nil
		}
	}
	next := 0
	for i := range b.items {
		it := &b.items[i]
		if !it.runs() {
			continue
		}
		if it.class, it.status = w.class, w.status; w.mapped {
			e := w.array.elements[next]
			it.answer = w.body[e.start:e.end]
			it.class, it.status = b.classOf(it.answer)
			next++
		}
	}
}

// inOrder reports whether no answer has the key of another item than the one in its place. What an answer has there need not
// be a key: it may be the ID of what was created.
func (b *batchExchange) inOrder(answers array) bool {
	places := make(map[string]int, len(answers.elements))
	for i := range b.items {
		if b.items[i].runs() {
			places[b.items[i].key.value] = len(places)
		}
	}
	for i, e := range answers.elements {
		key, err := b.plan.batch.keyOf(b.exchange, b.whole.body[e.start:e.end])
		if place, known := places[key.value]; err == nil && known && place != i {
			return false
		}
	}
	return true
}

// classUnmapped returns what an answer without an answer for each item says of them all. A batch that was turned away as a whole
// did not happen; the next one, with other items, may. An answer that was too long to be kept was an answer all the same.
func (w *whole) classUnmapped(b *batching) Class {
	switch {
	case w.class != Final, w.omitted && w.status/100 == 2 && b.status == nil:
		return w.class
	case w.status/100 == 4:
		return Release
	}
	return Unknown
}

// classOf returns the class of one item's answer, and its status.
func (b *batchExchange) classOf(answer []byte) (Class, int) {
	at := b.plan.batch.status
	if at == nil {
		return b.whole.class, b.whole.status
	}
	found, ok := at.find(answer, b.work)
	if !ok {
		return b.whole.class, b.whole.status
	}
	text, ok := scalarText(found)
	status, err := strconv.Atoi(text)
	if !ok || err != nil {
		return Unknown, 0
	}
	return b.plan.classes.byStatus(status, nil), status
}

// record ends the claims. What is recorded of an item is what the answer to a batch with only that item would have been.
func (b *batchExchange) record() {
	w := &b.whole
	if w.mapped {
		if t := sniff(w.header, w.body); t != "" {
			w.header["Content-Type"] = []string{t}
		}
		dropDigests(w.header)
	}
	var room [16]field
	s := stored{header: storable(room[:0], &w.capture)}
	meta := s.append(nil)
	b.each(func(i *item) { i.err = b.settle(i, meta) })
	for i := range b.items {
		w.forced = w.forced || b.items[i].err != nil
		b.items[i].err = nil
	}
}

func (b *batchExchange) settle(i *item, meta []byte) error {
	ctx := b.request.Context()
	switch i.class {
	case Final:
		o := refrain.Outcome{Status: b.whole.status, Meta: meta, Omitted: !b.whole.mapped}
		if b.whole.mapped {
			o.Body = b.whole.array.with(b.whole.body, i.answer)
		}
		return i.attempt.FinishFor(ctx, o, b.plan.keep(i.status))
	case Release:
		return i.attempt.Release(ctx)
	}
	return i.attempt.MarkUnknown(ctx, nil)
}
