package refrainhttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/refrain-dev/refrain"
)

// An echo is a member that an answer repeats of its request, such as the id of JSON-RPC. A recorded answer that is given to
// another request has that one's value there: see Policy.Echo.
type echo struct{ at *pointer }

func newEcho(text string) (echo, error) {
	names, err := pointerTokens(text)
	if err == nil && len(names) == 0 {
		err = errors.New(`"" is the whole body; name a member, such as /id`)
	}
	return echo{&pointer{text: text, names: names}}, err
}

func (p *plan) compileEcho(pointers []string) error {
	for _, text := range pointers {
		e, err := newEcho(text)
		if err != nil {
			return fmt.Errorf("echo: %w", err)
		}
		p.echoes = append(p.echoes, e)
	}
	return nil
}

// echoed returns where the request has what an answer repeats.
func (p *plan) echoed() (all []*pointer) {
	for _, e := range p.echoes {
		all = append(all, e.at)
	}
	return all
}

var null = []byte("null")

// isRepeated reports whether a value is a string or a number.
func isRepeated(value []byte) bool { return value[0] == '"' || value[0] == '-' || isDigit(value[0]) }

// valueAt returns the string or number that a body has where the names lead, as it is written there: null if it has none or
// several, or anything else, and for a body that is no JSON. So it is always one whole value of JSON.
func valueAt(names []string, body []byte) []byte {
	if !utf8.Valid(body) || !json.Valid(body) {
		return null
	}
	found, count := null, 0
	eachValue(body, skipSpace(body, 0), names, func(at extent) {
		count++
		if value := body[at.start:at.end]; isRepeated(value) {
			found = value
		}
	})
	if count != 1 {
		return null
	}
	return found
}

// valueOf is valueAt for the exchange's request, which was read before: nothing else was since.
func (x *exchange) valueOf(e *echo) []byte {
	body := x.body.b
	if !x.work.read(body, e.at.tree).plain {
		return valueAt(e.at.names, body)
	}
	if at, ok := x.work.json.place(e.at.node); ok && isRepeated(body[at.start:at.end]) {
		return body[at.start:at.end]
	}
	return null
}

// in appends an answer with the value wherever the member is, also if it is there twice. It reports false if the answer is no
// document of JSON.
func (e *echo) in(b, answer, value []byte) ([]byte, bool) {
	from := 0
	end := eachValue(answer, skipSpace(answer, 0), e.at.names, func(at extent) {
		b = append(append(b, answer[from:at.start]...), value...)
		from = at.end
	})
	return append(b, answer[from:]...), end >= 0 && skipSpace(answer, end) == len(answer)
}

// echoed returns the body of a recorded answer, and the rest of it, as they are for this request. It reports false for one that
// may repeat its request where nobody can see it.
func (x *exchange) echoed(o *refrain.Outcome, s stored) ([]byte, stored, bool) {
	if len(x.plan.echoes) == 0 || len(o.Body) == 0 || !isJSON(essence(s.lines("Content-Type"))) {
		return o.Body, s, true
	}
	if codings := s.lines("Content-Encoding"); codings != nil && !strings.EqualFold(strings.Join(codings, ","), "identity") {
		return nil, s, false
	}
	body, room := o.Body, x.work.text[:0]
	for i := range x.plan.echoes {
		e := &x.plan.echoes[i]
		changed, ok := e.in(room, body, x.valueOf(e))
		if !ok {
			return o.Body, s, true
		}
		body, room = changed, nil
		if i == 0 {
			x.work.text = changed
		}
	}
	if !bytes.Equal(body, o.Body) {
		s = s.without(vouches)
	}
	return body, s, true
}

// vouches reports whether a field is only true of a body to the byte.
func vouches(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Etag", headerDigest, "Repr-Digest", "Digest", "Content-Md5", "Signature", "Signature-Input":
		return true
	}
	return false
}
