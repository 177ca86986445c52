package conformance

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// firstExecutes: an answer passes as the upstream gave it.
func firstExecutes(t *trial) {
	body := `{"id":"op_1","nonce":"` + uuid() + `"}`
	t.script(Answer{Status: 202, Body: []byte(body)})
	r := t.send(t.keyed(t.key()))
	t.wrong(r.status == 202 && r.body == body, "got %s, want 202 %s", r, body)
	t.is(r, verdict{status: 202, fields: []string{"X-Nonce: 1", "!Idempotent-Replayed"}})
	t.effects(1)
}

// replays: a retry gets the first answer.
func replays(t *trial) {
	a := t.keyed(t.key())
	first := t.send(a)
	t.isReplay(first, t.send(a))
	t.effects(1)
}

// marks: replays are marked and first answers are not.
func marks(t *trial) {
	a := t.keyed(t.key())
	first := t.send(a)
	t.is(first, verdict{status: 201, fields: []string{"!Idempotent-Replayed"}})
	t.is(t.send(a), verdict{status: 201, fields: []string{t.c.marker}})
}

// echoes: every answer carries the key.
func echoes(t *trial) {
	a := t.keyed(t.key())
	key := a.header.Get(t.c.header)
	echoed := []string{"Idempotency-Key: " + key}
	t.is(t.send(a), verdict{status: 201, fields: echoed})
	t.is(t.send(a), verdict{status: 201, fields: echoed})
	t.is(t.send(a.saying(`"amount":100`, `"amount":101`)), verdict{status: t.c.mismatch.status, fields: echoed})
}

// passes: without a key nothing is protected.
func passes(t *trial) {
	t.send(t.bare())
	t.send(t.bare())
	t.effects(2)
}

// requires: where a key is required, a request without one is refused.
func requires(t *trial) {
	if t.under(t.sys.Required) {
		t.is(t.send(t.bare()), t.c.missing)
		t.effects(0)
	}
}

// demands: a key is required everywhere.
func demands(t *trial) {
	t.is(t.send(t.bare()), t.c.missing)
	t.effects(0)
}

// differs: two keys are two operations, also with one body.
func differs(t *trial) {
	t.send(t.keyed(t.key()))
	t.send(t.keyed(t.key()))
	t.effects(2)
}

func replaysOften(t *trial) {
	a := t.keyed(t.key())
	first := t.send(a)
	for range 99 {
		t.isReplay(first, t.send(a))
	}
	t.effects(1)
}

// ignoresSafe: a key on GET and HEAD has no effect.
func ignoresSafe(t *trial) {
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		a := t.keyed(t.key())
		a.method, a.body = method, ""
		one, two := t.send(a), t.send(a)
		t.wrong(one.header.Get("X-Nonce") != two.header.Get("X-Nonce"), "%s: the second answer is the first one", method)
	}
	t.effects(4)
}

// protects: keys have an effect with the contract's methods, and with no others.
func protects(t *trial) {
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		a := t.keyed(t.key())
		a.method, a.path = method, t.path+"-"+method
		t.send(a)
		t.send(a)
		want := 2
		if t.c.has(method) {
			want = 1
		}
		t.effectsAt(a.path, want)
	}
}

// conflicts: a duplicate of a running request is told so at once, and the conflict is not what is remembered.
func conflicts(t *trial) {
	if !t.c.waits || t.under(t.sys.AtOnce) {
		open := t.hold()
		a := t.keyed(t.key())
		answer := t.begin(a)
		t.is(t.send(a), t.c.inFlight)
		open()
		first := <-answer
		t.wrong(first.status == 201, "the first request got %s", first)
		t.same(first, t.send(a))
		t.effects(1)
	}
}

// retryAfter: the conflict says when to come back.
func retryAfter(t *trial) {
	if !t.c.waits || t.under(t.sys.AtOnce) {
		open := t.hold()
		defer open()
		a := t.keyed(t.key())
		t.begin(a)
		got := t.send(a).header.Get("Retry-After")
		seconds, err := time.ParseDuration(got + "s")
		t.wrong(err == nil && seconds >= time.Second, "got Retry-After %q, want whole seconds", got)
	}
}

// waits: a duplicate of a running request gets its answer.
func waits(t *trial) {
	if t.c.waits || t.under(t.sys.Patient) {
		open := t.hold()
		a := t.keyed(t.key())
		answer := t.begin(a)
		duplicate := make(chan *reply, 1)
		go func() { duplicate <- t.try(t.ctx, a) }()
		select {
		case r := <-duplicate:
			t.wrong(false, "the duplicate did not wait: %s", r)
			duplicate <- r
		case <-time.After(100 * time.Millisecond):
		}
		open()
		t.isReplay(<-answer, <-duplicate)
		t.effects(1)
	}
}

// hangsUp: a duplicate that stops waiting changes nothing.
func hangsUp(t *trial) {
	if t.c.waits || t.under(t.sys.Patient) {
		open := t.hold()
		a := t.keyed(t.key())
		answer := t.begin(a)
		ctx, cancel := context.WithTimeout(t.ctx, 50*time.Millisecond)
		t.wrong(t.try(ctx, a).err != nil, "the duplicate did not wait")
		cancel()
		open()
		first := <-answer
		t.isReplay(first, t.send(a))
		t.effects(1)
	}
}

// storms: of many at once, one runs, and each hears its answer or the conflict.
func storms(t *trial) {
	a := t.keyed(t.key())
	answers := make([]*reply, 200)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = t.try(t.ctx, a) })
	}
	wg.Wait()
	var told *reply
	for _, r := range answers {
		switch {
		case r.status == t.c.inFlight.status:
		case told == nil:
			told = r
		default:
			t.wrong(r.status == told.status && r.body == told.body, "one got %s, another one %s", told, r)
		}
	}
	t.wrong(told != nil, "nobody got the answer")
	t.effects(1)
}
