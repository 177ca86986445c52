package conformance

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

// Checks of what belongs to an attempt and not to the operation.

// attempts: fields that differ between two attempts of a client are not compared.
func attempts(t *trial) {
	a := t.keyed(t.key())
	first := t.send(a)
	b := a
	for _, name := range []string{
		"User-Agent", "Traceparent", "Tracestate", "Baggage", "X-Request-Id", "Signature", "Signature-Input", "Timestamp",
		"Accept", "Accept-Language", "Via", "Forwarded", "X-Forwarded-For",
	} {
		b = b.with(name, "another")
	}
	t.isReplay(first, t.send(b.with("Date", "Sun, 06 Nov 1994 08:49:37 GMT")))
	t.effects(1)
}

// preconditions: what a first attempt made of a resource does not fail its retry.
func preconditions(t *trial) {
	t.script(Answer{}, Answer{Status: http.StatusPreconditionFailed})
	a := t.keyed(t.key()).with("If-Match", `"v1"`)
	t.isReplay(t.send(a), t.send(a))
	t.effects(1)
}

// crashes: what ran when the service was killed does not run again while its owner may yet live.
func crashes(t *trial) {
	if t.sys.Kill == nil {
		t.lacking = true
		return
	}
	if !t.under(t.sys.AtOnce) {
		return
	}
	open := t.hold()
	defer open()
	a := t.keyed(t.key())
	t.begin(a)
	if err := t.sys.Kill(); err != nil {
		t.wrong(false, "%v", err)
		return
	}
	r := t.send(a)
	t.wrong(r.status >= 400 || r.status == t.c.inFlight.status, "got %s, want that nobody knows yet", r)
	t.effects(1)
}

// tooLong: an answer that is not kept is given once, and is not made again.
func tooLong(t *trial) {
	body := strings.Repeat("x", 1<<20+1)
	t.script(Answer{Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(body)})
	a := t.keyed(t.key())
	first, second := t.send(a), t.send(a)
	t.wrong(first.status == 201 && first.body == body, "the answer did not pass as it was")
	good := t.c.anonymous || t.c.inFlight.status == 200 // which says what a contract has for answers that are refusals
	t.wrong((second.status == 200) == good && second.status/100 != 3 && second.body != body, "got %.300s", second)
	t.effects(1)
}

// digests: a body is what its digest says, or is refused.
func digests(t *trial) {
	digest := func(body string) string {
		sum := sha256.Sum256([]byte(body))
		return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	}
	a := t.keyed(t.key())
	t.is(t.send(a.with("Content-Digest", digest("another body"))), t.c.broken)
	t.effects(0)
	t.is(t.send(a.with("Content-Digest", digest(a.body))), verdict{status: 201})
	t.effects(1)
}

// forms: the parameters of a form are compared, not how they are spelt.
func forms(t *trial) {
	a := t.keyed(t.key()).with("Content-Type", "application/x-www-form-urlencoded")
	a.body = "amount=100&currency=eur&metadata[a]=b+c"
	first := t.send(a)
	t.isReplay(first, t.send(a.saying("[a]=b+c", "%5Ba%5D=b%20c")))
	t.is(t.send(a.saying("amount=100", "amount=101")), t.c.mismatch)
	t.effects(1)
}

// parts: the parts of a form are compared, not what keeps them apart.
func parts(t *trial) {
	const part = "--%[1]s\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n%[2]s\r\n--%[1]s--\r\n"
	key := t.key()
	upload := func(boundary, text string) *ask {
		a := t.keyed(key).with("Content-Type", "multipart/form-data; boundary="+boundary)
		a.body = fmt.Sprintf(part, boundary, text)
		return a
	}
	first := t.send(upload("one", "dispute"))
	t.isReplay(first, t.send(upload("two", "dispute")))
	t.is(t.send(upload("two", "identity")), t.c.mismatch)
	t.effects(1)
}
