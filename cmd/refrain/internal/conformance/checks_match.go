package conformance

import (
	"net/http"
	"strings"
)

// mismatches: a key with another body is refused, and the first operation is as it was.
func mismatches(t *trial) {
	a := t.keyed(t.key())
	first := t.send(a)
	t.is(t.send(a.saying(`"amount":100`, `"amount":101`)), t.c.mismatch)
	t.isReplay(first, t.send(a))
	t.effects(1)
}

// mismatchesInFlight: also while the first request runs.
func mismatchesInFlight(t *trial) {
	open := t.hold()
	a := t.keyed(t.key())
	answer := t.begin(a)
	r := t.send(a.saying(`"amount":100`, `"amount":101`))
	t.wrong(r.status == t.c.mismatch.status, "got %s, want %d", r, t.c.mismatch.status)
	open()
	t.same(<-answer, t.send(a))
	t.effects(1)
}

// ignoresPayload: the key alone counts.
func ignoresPayload(t *trial) {
	a := t.keyed(t.key())
	t.same(t.send(a), t.send(a.saying(`"amount":100`, `"amount":101`)))
	t.effects(1)
}

// compares checks what becomes of a key with the body changed.
func compares(old, text string, is func(*trial) bool) func(*trial) {
	return func(t *trial) {
		a := t.keyed(t.key())
		first := t.send(a)
		second := t.send(a.saying(old, text))
		if is(t) {
			t.isReplay(first, second)
		} else {
			t.is(second, t.c.mismatch)
		}
		t.effects(1)
	}
}

func unlessRaw(t *trial) bool { return !t.c.raw }
func never(*trial) bool       { return false }

var (
	jsonOrder  = compares(`"amount":100,"currency":"eur"`, `"currency": "eur", "amount":100`, unlessRaw)
	jsonNumber = compares(`"amount":100`, `"amount":1.00e2`, unlessRaw)
	jsonNull   = compares(`"amount"`, `"note":null,"amount"`, never)
	jsonTwice  = compares(`"amount":100`, `"amount":1,"amount":100`, never)
	jsonArray  = compares("[1,2]", "[2,1]", never)
)

// jsonExact: numbers that are one as floats are two.
func jsonExact(t *trial) {
	a := t.keyed(t.key()).saying(`"amount":100`, `"amount":9007199254740992`)
	t.send(a)
	t.is(t.send(a.saying("9007199254740992", "9007199254740993")), t.c.mismatch)
	t.effects(1)
}

// queries: another query is another request.
func queries(t *trial) {
	a := t.keyed(t.key())
	t.send(a)
	b := *a
	b.query = "?expand=all"
	t.is(t.send(&b), t.c.mismatch)
	t.effects(1)
}

// paths: a key on another path is a mismatch, or an operation of its own.
func paths(t *trial) {
	a := t.keyed(t.key())
	t.send(a)
	b := *a
	b.path += "/other"
	r := t.send(&b)
	if t.c.paths == again {
		t.wrong(r.status == 201, "got %s, want 201", r)
		t.effectsAt(b.path, 1)
		return
	}
	t.is(r, t.c.mismatch)
	t.effectsAt(b.path, 0)
}

// principals: two callers with one key never meet.
func principals(t *trial) {
	a := t.keyed(t.key())
	first := t.send(a)
	second := t.send(a.with("Authorization", "Bearer two"))
	t.wrong(second.status == 201 && second.body != first.body, "the second caller got %s, the first %s", second, first)
	t.effects(2)
}

// accounts: to one credential that acts for two accounts, a key of one is not a key of the other.
func accounts(t *trial) {
	key := t.key()
	for _, account := range []string{"acct_1", "acct_2"} {
		a := t.keyed(key).with("Stripe-Account", account)
		t.is(t.send(a), verdict{status: 201})
		t.is(t.send(a), verdict{status: 201, fields: []string{t.c.marker}})
	}
	t.send(t.keyed(key)) // the platform itself is a third
	t.effects(3)
}

// clientIDs: the ID of the client is among what is compared.
func clientIDs(t *trial) {
	a := t.keyed(t.key()).with("Repeatability-Client-ID", uuid())
	t.send(a)
	t.is(t.send(a.with("Repeatability-Client-ID", uuid())), t.c.mismatch)
	t.effects(1)
}

// unauthenticated: what the API turned away for its credentials did not happen.
func unauthenticated(t *trial) {
	t.script(Answer{Status: http.StatusUnauthorized}, Answer{})
	a := t.keyed(t.key())
	t.is(t.send(a), verdict{status: 401})
	t.is(t.send(a), verdict{status: 201})
	t.effects(2)
}

// Keys.

// accepts checks which keys are taken.
func accepts(good bool, keys ...string) func(*trial) {
	return func(t *trial) {
		for _, key := range keys {
			r := t.send(t.keyed("").with(t.c.header, key))
			if good {
				t.wrong(r.status == 201, "%s: got %s, want 201", key, r)
			} else {
				t.is(r, t.c.invalid)
			}
		}
		want := 0
		if good {
			want = len(keys)
		}
		t.effects(want)
	}
}

// lengths: a key may be as long as the contract says, and no longer; it may not be empty.
func lengths(t *trial) {
	long := strings.Repeat("k", t.c.limit-8)
	fits := t.keyed(uuid()[:8] + long)
	t.is(t.send(fits), verdict{status: 201})
	t.is(t.send(t.keyed(uuid()[:8]+long+"k")), t.c.invalid)
	t.is(t.send(t.keyed("")), t.c.invalid)
	t.effects(1)
}

// oneLine: of two keys, nobody can know which is meant.
func oneLine(t *trial) {
	a := t.keyed(t.key())
	line := a.header[t.c.header][0]
	t.is(t.send(a.with(t.c.header, line, line+"x")), t.c.invalid)
	t.is(t.send(a.with(t.c.header, line, line)), t.c.invalid)
	t.effects(0)
}

// quotedIsBare: one key, however it is written.
func quotedIsBare(t *trial) {
	key := uuid()
	a := t.keyed(key)
	first := t.send(a.with(t.c.header, `"`+key+`"`))
	t.isReplay(first, t.send(a.with(t.c.header, key)))
	t.effects(1)
}

// opaque: what a key looks like says nothing.
func opaque(t *trial) {
	for _, key := range []string{"a,b ", `say "k"`, `back\slash`, "1700000000123456789_aZ-_09", "k;v=1"} {
		a := t.keyed(key + uuid()[:8])
		a.path += "/" + uuid()
		first := t.send(a)
		t.wrong(first.status == 201, "%s: got %s, want 201", key, first)
		t.isReplay(first, t.send(a))
		t.effectsAt(a.path, 1)
	}
}

// anyCase: the case of a UUID means nothing.
func anyCase(t *trial) {
	key := t.key()
	first := t.send(t.keyed(key))
	t.isReplay(first, t.send(t.keyed(strings.ToUpper(key))))
	t.effects(1)
}
