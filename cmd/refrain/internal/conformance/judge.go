package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// expectations are how a contract's answers look, and what it makes of an answer.
type expectations struct {
	methods []string           // with which keys have an effect
	body    string             // of a request; if empty, order
	place   func(*ask, string) // puts a key, as the client writes it, into a request
	fresh   func() string      // makes a key; if nil, uuid
	header  string             // the field that has the key, if it is one
	marker  string             // the header line of replays
	raw     bool               // bodies are compared byte by byte
	fates   map[int]fate       // of answers by status
	waits   bool               // a duplicate of a running request waits
	limit   int                // how long keys may be
	paths   fate               // of a key on another path
	expired int                // the status after the retention; if zero, it runs again
	dropped fate               // of a request that the upstream did not answer

	anonymous bool // there are no callers to tell apart

	missing, invalid, mismatch, inFlight, away, lost verdict
	broken                                           verdict // of a body that is not what its digest says
	repeat                                           verdict // of the retry of a success, where it is not the first answer
}

func (e *expectations) method() string { return e.methods[0] }

func (e *expectations) has(method string) bool {
	return slices.Contains(e.methods, method)
}

func (t *trial) key() string {
	if t.c.fresh == nil {
		return uuid()
	}
	return t.c.fresh()
}

// A fate is what becomes of the retry of a request.
type fate uint8

const (
	replayed fate = iota // it gets the first answer
	again                // it runs
	refused              // it is a mismatch
	held                 // it does not run, and hears that nobody knows
)

func (f fate) String() string {
	return [...]string{"gets the first answer", "runs", "is a mismatch", "gets the first answer, marked unknown"}[f]
}

// A verdict is what an answer must be.
type verdict struct {
	status  int
	fields  []string // header lines; "Name:" is any value, "!Name" none
	members []string // of the document: "/error/type=idempotency_error", "/resource_id" is any value
}

// is checks an answer.
func (t *trial) is(r *reply, v verdict) {
	t.wrong(v.status == r.status, "got %s, want %d", r, v.status)
	for _, f := range v.fields {
		if name, none := strings.CutPrefix(f, "!"); none {
			t.wrong(len(r.header.Values(name)) == 0, "got %s %q, want none", name, r.header.Values(name))
			continue
		}
		name, want, _ := strings.Cut(f, ":")
		got, want := r.header.Get(name), strings.TrimSpace(want)
		t.wrong(got == want || want == "" && got != "", "got %s %q, want %q; %s", name, got, want, r)
	}
	for _, m := range v.members {
		pointer, want, valued := strings.Cut(m, "=")
		got, ok := member(r.body, pointer)
		t.wrong(ok && got != "" && (!valued || got == want), "got %q at %s, want %q; %s", got, pointer, want, r)
	}
}

// same checks that an answer is the first one again.
func (t *trial) same(first, second *reply) {
	if t.c.repeat.status != 0 && first.status/100 == 2 {
		t.is(second, t.c.repeat)
		return
	}
	t.wrong(second.status == first.status && second.body == first.body, "got %s, want the first answer, %s", second, first)
}

// isReplay checks that an answer is the first one again and says so, if there is a way to say it.
func (t *trial) isReplay(first, second *reply) {
	t.same(first, second)
	if t.c.marker != "" && t.c.repeat.status == 0 {
		t.is(second, verdict{status: first.status, fields: []string{t.c.marker}})
	}
}

// member returns the text of what a document has at a JSON pointer.
func member(document, pointer string) (string, bool) {
	var v any
	if json.Unmarshal([]byte(document), &v) != nil {
		return "", false
	}
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		switch in := v.(type) {
		case map[string]any:
			v = in[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i >= len(in) {
				return "", false
			}
			v = in[i]
		default:
			return "", false
		}
	}
	return fmt.Sprint(v), v != nil
}

// Where keys are.

func inHeader(name string) func(*ask, string) {
	return func(a *ask, key string) { a.header[http.CanonicalHeaderKey(name)] = []string{key} }
}

func quotedIn(name string) func(*ask, string) {
	return func(a *ask, key string) { a.header[http.CanonicalHeaderKey(name)] = []string{`"` + key + `"`} }
}

func inBody(member string) func(*ask, string) {
	return func(a *ask, key string) { a.body = fmt.Sprintf(`{%q:%q,%s`, member, key, a.body[1:]) }
}
