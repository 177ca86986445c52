package conformance

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keeps checks what becomes of the retry of a request that was answered with a status.
func keeps(status int) func(*trial) {
	return func(t *trial) { t.follows(Answer{Status: status}, t.c.fates[status]) }
}

// follows checks what becomes of the retry of a request that was answered with a status and a header field.
func follows(status int, name, value string, f fate) func(*trial) {
	return func(t *trial) {
		t.follows(Answer{Status: status, Header: http.Header{http.CanonicalHeaderKey(name): {value}}}, f)
	}
}

func (t *trial) follows(first Answer, f fate) {
	t.script(first, Answer{Status: 200})
	a := t.keyed(t.key())
	one := t.send(a)
	t.wrong(one.status == first.Status, "got %s, want %d", one, first.Status)
	two := t.send(a)
	switch f {
	case again:
		t.is(two, verdict{status: 200, fields: []string{"!Idempotent-Replayed"}})
		t.effects(2)
	case held:
		t.same(one, two)
		t.is(two, verdict{status: first.Status, fields: []string{"Idempotency-Status: unknown"}})
		t.effects(1)
	default:
		t.isReplay(one, two)
		t.effects(1)
	}
}

// unanswered: what becomes of an operation whose answer the upstream kept to itself.
func unanswered(t *trial) {
	t.script(Answer{Drop: true}, Answer{})
	a := t.keyed(t.key())
	one := t.send(a)
	t.is(one, t.c.lost)
	two := t.send(a)
	if t.c.dropped == again {
		t.is(two, verdict{status: 201})
		t.effects(2)
		return
	}
	t.is(two, verdict{status: two.status, fields: []string{"Idempotency-Status: unknown"}})
	t.wrong(two.status >= 400, "got %s, want that nobody knows", two)
	t.effects(1)
}

// releasesUnreached: what did not reach the upstream did not happen.
func releasesUnreached(t *trial) {
	a := t.keyed(t.key())
	t.sys.Upstream.Down()
	plain := t.bare()
	plain.method, plain.body = http.MethodGet, ""
	t.until("the upstream is seen to be away", plain, func(r *reply) bool { return r.status == 502 })
	r := t.send(a)
	t.wrong(r.status == 502 || r.status == 503, "got %s, want 502 or 503", r)
	if err := t.sys.Upstream.Up(); err != nil {
		t.wrong(false, "%v", err)
		return
	}
	t.is(t.send(a), verdict{status: 201})
	t.send(a)
	t.effects(1)
}

// expires: what becomes of a key after the retention.
func expires(t *trial) {
	if t.under(t.sys.Brief) {
		a := t.keyed(t.key())
		t.is(t.send(a), verdict{status: 201})
		if t.c.expired == 0 {
			t.until("the key is new again", a, func(*reply) bool { return t.sys.Upstream.Effects(t.path) == 2 })
			return
		}
		t.until("the key is expired", a, func(r *reply) bool { return r.status == t.c.expired })
		t.effects(1)
	}
}

// survives: what was answered is answered again after a crash.
func survives(t *trial) {
	if t.sys.Kill == nil {
		t.lacking = true
		return
	}
	a := t.keyed(t.key())
	first := t.send(a)
	if err := t.sys.Kill(); err != nil {
		t.wrong(false, "%v", err)
		return
	}
	t.isReplay(first, t.send(a))
	t.effects(1)
}

// failsClosed: while the store is away nothing runs that has a key.
func failsClosed(t *trial) {
	if t.sys.Break == nil {
		t.lacking = true
		return
	}
	mend := t.sys.Break()
	a := t.keyed(t.key())
	t.is(t.send(a), t.c.away)
	t.effects(0)
	plain := t.bare()
	plain.method, plain.body = http.MethodGet, ""
	t.is(t.send(plain), verdict{status: 201})
	mend()
	t.is(t.send(a), verdict{status: 201})
	t.effects(2)
}

// keepsFields: a replay has the header fields of the result, and none of those of the attempt.
func keepsFields(t *trial) {
	old := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
	t.script(Answer{Header: http.Header{
		"Location": {"/op/1"}, "Etag": {`"v1"`}, "Set-Cookie": {"a=1", "b=2"}, "X-Foo": {"bar"}, "Connection": {"X-Hop"},
		"X-Hop": {"1"}, "Keep-Alive": {"timeout=5"}, "Date": {old},
	}})
	a := t.keyed(t.key())
	first := t.send(a)
	r := t.send(a)
	t.isReplay(first, r)
	t.is(r, verdict{status: 201, fields: []string{
		"Location: /op/1", `Etag: "v1"`, "X-Foo: bar", "!X-Hop", "!Keep-Alive", "!Age", "Content-Length: " + strconv.Itoa(len(r.body)),
	}})
	if cookies := r.header.Values("Set-Cookie"); t.c.anonymous {
		t.wrong(len(cookies) == 0, "got cookies %q, want none: nobody knows whose they are", cookies)
	} else {
		t.wrong(slices.Equal(cookies, []string{"a=1", "b=2"}), "got cookies %q", cookies)
	}
	at, err := http.ParseTime(r.header.Get("Date"))
	t.wrong(err == nil && time.Since(at) < time.Minute, "got Date %q, want that of the replay", r.header.Get("Date"))
}

// keepsBytes: answers of any kind are replayed to the byte.
func keepsBytes(t *trial) {
	random := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random) // never fails
	binary := http.Header{"Content-Type": {"application/octet-stream"}}
	for i, answer := range []Answer{{Status: 204, Body: []byte{}}, {Body: []byte{}}, {Header: binary, Body: random}} {
		a := t.keyed(t.key())
		a.path = fmt.Sprintf("%s-%d", t.path, i)
		t.sys.Upstream.Script(a.path, answer)
		first, second := t.send(a), t.send(a)
		t.wrong(bytes.Equal([]byte(first.body), answer.Body), "answer %d did not pass as it was", i)
		t.wrong(second.status == first.status && second.body == first.body, "replay %d differs from the first answer", i)
		t.effectsAt(a.path, 1)
	}
}

// says: an upstream may say itself what its answer means.
func says(t *trial) {
	name := http.CanonicalHeaderKey("Idempotency-Outcome")
	for i, tt := range []struct {
		word string
		runs int
	}{{"final", 1}, {"release", 2}} {
		a := t.keyed(t.key())
		a.path = fmt.Sprintf("%s-%d", t.path, i)
		status := 418
		if strings.HasPrefix(tt.word, "f") {
			status = 201
		}
		t.sys.Upstream.Script(a.path, Answer{Status: status, Header: http.Header{name: {tt.word}}}, Answer{})
		t.send(a)
		t.send(a)
		t.effectsAt(a.path, tt.runs)
	}
}
