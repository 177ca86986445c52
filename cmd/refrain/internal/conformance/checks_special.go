package conformance

import (
	"net/http"
	"strings"
	"time"
)

// The checks of single contracts.

const (
	requestID = "Repeatability-Request-Id"
	firstSent = "Repeatability-First-Sent"
	result    = "Repeatability-Result"
)

func accepted() verdict {
	return verdict{status: 201, fields: []string{result + ": accepted"}}
}

func rejected(status int) verdict {
	return verdict{status: status, fields: []string{result + ": rejected"}}
}

// repeatable puts both fields of a repeatable request into one.
func repeatable(a *ask, id string) {
	a.header[requestID] = []string{id}
	a.header[firstSent] = []string{time.Now().UTC().Format(http.TimeFormat)}
}

// without returns a request that lacks a field.
func (a *ask) without(name string) *ask {
	c := a.with(name)
	delete(c.header, name)
	return c
}

func oasisAccepted(t *trial) {
	a := t.keyed(t.key())
	t.is(t.send(a), accepted())
	t.is(t.send(a), accepted())
	t.effects(1)
}

func oasisIDOnly(t *trial) {
	t.is(t.send(t.keyed(t.key()).without(firstSent)), rejected(400))
	t.effects(0)
}

func oasisDateOnly(t *trial) {
	t.is(t.send(t.keyed(t.key()).without(requestID)), rejected(400))
	t.effects(0)
}

func oasisBadDate(t *trial) {
	now := time.Now().UTC()
	for _, date := range []string{
		"", "yesterday", now.Format(time.RFC3339), now.Format(time.RFC1123Z), now.Format(time.RFC850), now.Format(time.ANSIC),
		now.Format("Mon, 02 Jan 2006 15:04:05.000 GMT"), now.AddDate(0, 0, 1).Format("Mon") + now.Format(", 02 Jan 2006 15:04:05 GMT"),
	} {
		r := t.send(t.keyed(t.key()).with(firstSent, date))
		t.is(r, rejected(400))
	}
	t.effects(0)
}

// oasisSentAgo checks what becomes of a request that was first sent that long ago.
func oasisSentAgo(ago time.Duration, v verdict, effects int) func(*trial) {
	return func(t *trial) {
		date := time.Now().UTC().Add(-ago).Format(http.TimeFormat)
		t.is(t.send(t.keyed(t.key()).with(firstSent, date)), v)
		t.effects(effects)
	}
}

func oasisUnsupported(t *trial) {
	if t.under(t.sys.Refused) {
		t.is(t.send(t.keyed(t.key())), rejected(501))
		t.effects(0)
		t.is(t.send(t.bare()), verdict{status: 201, fields: []string{"!" + result}})
	}
}

// oasisRejectsReleased: an answer that says that nothing happened does not claim one execution.
func oasisRejectsReleased(t *trial) {
	t.script(Answer{Status: 429})
	t.is(t.send(t.keyed(t.key())), rejected(429))
}

// oasisClaimsNothing: of what nobody knows, neither result is claimed.
func oasisClaimsNothing(t *trial) {
	gate := make(chan struct{})
	t.script(Answer{Hold: gate, Drop: true})
	a := t.keyed(t.key())
	answer := t.begin(a)
	t.is(t.send(a), verdict{status: 409, fields: []string{"!" + result}})
	close(gate)
	t.is(<-answer, verdict{status: 502, fields: []string{"!" + result}})
	t.is(t.send(a), verdict{status: 502, fields: []string{"!" + result}})
	t.effects(1)
}

// conflictNames: the repetition of a success is a conflict that names what was created.
func conflictNames(t *trial) {
	t.script(Answer{Body: []byte(`{"payments":{"id":"PM123","amount":100}}`)})
	a := t.keyed(t.key())
	t.is(t.send(a), verdict{status: 201})
	for _, second := range []*ask{a, a.saying(`"amount":100`, `"amount":101`)} {
		t.is(t.send(second), verdict{status: 409, members: []string{
			"/error/code=409", "/error/type=invalid_state", "/error/errors/0/reason=idempotent_creation_conflict",
			"/error/errors/0/links/conflicting_resource_id=PM123",
		}})
	}
	t.effects(1)
}

// oneEffect: many replays of what has no replay.
func oneEffect(t *trial) {
	a := t.keyed(t.key())
	t.send(a)
	for range 99 {
		t.is(t.send(a), verdict{status: 409})
	}
	t.effects(1)
}

// mismatchNames: a mismatch names what the key has created.
func mismatchNames(t *trial) {
	t.script(Answer{Body: []byte(`{"id":"account_in71c4amph0vgo2qllky"}`)})
	a := t.keyed(t.key())
	t.send(a)
	t.is(t.send(a.saying(`"amount":100`, `"amount":101`)), verdict{status: 409, members: []string{
		"/status=409", "/type=idempotency_key_already_used_error", "/resource_id=account_in71c4amph0vgo2qllky",
	}})
	t.effects(1)
}

// keyIsText: a key in a body is a string or a number, once.
func keyIsText(t *trial) {
	for _, key := range []string{`{"a":1}`, `[1]`, `true`, `""`, `"a","idempotency_key":"b"`} {
		a := t.bare()
		a.body = `{"idempotency_key":` + key + `,"amount":100}`
		t.is(t.send(a), t.c.invalid)
	}
	t.effects(0)
}

// tupleParts: both parts of an event's name count, in whichever form it comes, and no two names are one.
func tupleParts(t *trial) {
	event := func(source, id string) *ask {
		a := t.bare()
		a.header["Ce-Source"], a.header["Ce-Id"] = []string{source}, []string{id}
		return a
	}
	id := uuid()
	t.send(event("a"+id, "b"))
	t.send(event("a"+id, "b"))
	t.send(event("a", id+"b"))
	t.send(event("a"+id, "c"))
	t.effects(3)
	structured := t.bare()
	structured.body = `{"specversion":"1.0","source":"a` + id + `","id":"b","type":"t"}`
	t.send(structured) // the event that came first
	t.effects(3)
	half := event("a"+id, "b")
	delete(half.header, "Ce-Id")
	t.is(t.send(half), t.c.invalid)
	t.effects(3)
}

// signedAnew: what changes with each attempt is not compared.
func signedAnew(t *trial) {
	a := t.keyed(t.key())
	first := t.send(a.with("Webhook-Timestamp", "1").with("Webhook-Signature", "v1,a").with("X-Slack-Retry-Num", "0"))
	t.same(first, t.send(a.with("Webhook-Timestamp", "2").with("Webhook-Signature", "v1,b").with("X-Slack-Retry-Num", "1")))
	t.effects(1)
}

// shapes: every error that the layer gives itself has the shape that Stripe's clients understand.
func shapes(t *trial) {
	shape := verdict{members: []string{"/error/type=idempotency_error", "/error/code", "/error/message"}}
	check := func(r *reply) {
		t.wrong(r.status >= 400, "got %s, want an error", r)
		shape.status = r.status
		t.is(r, shape)
	}
	a := t.keyed(t.key())
	t.send(a)
	check(t.send(a.saying(`"amount":100`, `"amount":101`)))
	check(t.send(t.keyed("")))
	check(t.send(a.with(t.c.header, "a", "b")))
	check(t.send(t.keyed(t.key()).saying("[1,2]", `"`+strings.Repeat("x", 2<<20)+`"`)))
	t.script(Answer{}, Answer{Drop: true})
	check(t.send(t.keyed(t.key())))
	if t.under(t.sys.Required) {
		check(t.send(t.bare()))
	}
}

// shapesOfOthers: a request without a key, or one that changes nothing, gets the same errors when the upstream does not answer.
// Only the one that changes nothing may be sent again.
func shapesOfOthers(t *trial) {
	shape := []string{"/error/type=idempotency_error", "/error/code", "/error/message"}
	t.script(Answer{Drop: true}, Answer{Drop: true}, Answer{Drop: true}) // the proxy may send a safe method again
	a := t.bare()
	t.is(t.send(a), verdict{status: 500, fields: []string{"Stripe-Should-Retry: false"}, members: shape})
	a.method, a.body = http.MethodGet, ""
	t.is(t.send(a), verdict{status: 502, fields: []string{"Stripe-Should-Retry: true"}, members: shape})
}

// ignoresMedia: what the header says of a body is not compared.
func ignoresMedia(t *trial) {
	a := t.keyed(t.key())
	t.isReplay(t.send(a), t.send(a.with("Content-Type", "application/json; charset=utf-8").with("Accept-Language", "fr")))
	t.isReplay(t.send(a), t.send(a.with("Content-Type", "application/vnd.acp+json")))
	t.effects(1)
}

// replaysUnder: the ID may be in another field.
func replaysUnder(name string) func(*trial) {
	return func(t *trial) {
		a := t.bare().with(name, uuid())
		t.same(t.send(a), t.send(a))
		t.effects(1)
	}
}

// signedOnly: what its sender did not sign is refused, also what looks signed, and does not run.
func signedOnly(t *trial) {
	if t.under(t.sys.Signed) {
		a := t.keyed(t.key())
		for _, name := range []string{
			"Webhook-Signature", "X-Hub-Signature-256", "X-Shopify-Hmac-Sha256", "X-Slack-Signature", "X-Twilio-Signature",
			"Stripe-Signature",
		} {
			t.is(t.send(a), verdict{status: 401})
			a = a.with(name, "bm8gc2lnbmF0dXJl")
		}
		t.is(t.send(a), verdict{status: 401})
		t.effects(0)
	}
}
