package conformance

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// overMCP judges a contract by what holds of its binding to MCP.
func overMCP(binding func() Contract) func(*trial) {
	return func(t *trial) {
		if t.under(t.sys.MCP) {
			c := binding()
			t.c = &c
			ownIDs(t)
			t.path += "/again"
			mismatches(t)
		}
	}
}

// withID returns the call with another id.
func (a *ask) withID(id string) *ask { return a.saying(`"id":1,`, `"id":`+id+`,`) }

// hasID checks the id of an answer, to the byte.
func (t *trial) hasID(r *reply, id string) {
	want := `{"jsonrpc":"2.0","id":` + id + `,`
	t.wrong(strings.HasPrefix(r.body, want), "got %s, want it to begin with %s", r, want)
}

// ids are texts and numbers, also those that a program may change when it reads and writes them.
var ids = []string{`2`, `"2"`, `""`, `"\u0000\"},{\\"`, `-7`, `1.0`, `1e400`, `9007199254740993`, `"é"`}

// ownIDs: a replay is the first answer with the id of its own request, and has the length that it says.
func ownIDs(t *trial) {
	a := t.keyed(t.key())
	first := t.send(a)
	t.hasID(first, "1")
	for _, id := range append(slices.Clone(ids), "1") {
		r := t.send(a.withID(id))
		t.hasID(r, id)
		asFirst := *r
		asFirst.body = strings.Replace(r.body, `"id":`+id+`,`, `"id":1,`, 1)
		t.isReplay(first, &asFirst)
	}
	t.effects(1)
}

// errorIDs: an error has the id of its request.
func errorIDs(t *trial) {
	open := t.hold()
	a := t.keyed(t.key())
	answer := t.begin(a)
	for _, id := range ids {
		other := a.withID(id)
		t.hasID(t.send(other.saying(`"amount":100`, `"amount":101`)), id)
		if !t.c.waits {
			t.hasID(t.send(other), id)
		}
		t.hasID(t.send(t.keyed("").withID(id)), id)
	}
	open()
	t.hasID(<-answer, "1")
	t.effects(1)
}

// otherProgress: what the protocol says of one attempt is not compared.
func otherProgress(t *trial) {
	a := t.keyed(t.key())
	first := t.send(a)
	t.isReplay(first, t.send(a.saying(`"params":{`, `"params":{"_meta":{"progressToken":"p"},`)))
	t.effects(1)
}

// otherMetadata: what are header fields over HTTP is not compared.
func otherMetadata(t *trial) {
	a := t.keyed(t.key())
	first := t.send(a)
	t.isReplay(first, t.send(a.saying(`"meta":{`, `"meta":{"request_id":"r","timestamp":"2026-06-15T00:00:00Z",`)))
	t.effects(1)
}

// asksBack: a tool that asks something has done nothing yet, and gets the answer with the same key.
func asksBack(t *trial) {
	question := `{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","inputRequests":{}}}`
	t.script(Answer{Status: 200, Body: []byte(question)}, Answer{})
	a := t.keyed(t.key())
	t.send(a)
	answered := a.withID("2").saying(`"params":{`, `"params":{"inputResponses":{},`)
	t.is(t.send(answered), verdict{status: 201})
	t.isReplay(t.send(answered), t.send(answered))
	t.effects(2)
}

// passesMessages: what is no call with a key passes.
func passesMessages(t *trial) {
	messages := []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`, `{"jsonrpc":"2.0","id":"a","method":"tools/list"}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get","arguments":{"meta":{},"id":"x"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled"}`,
	}
	for _, body := range messages {
		a := t.bare()
		a.body = body
		for range 2 {
			t.is(t.send(a), verdict{status: 201, fields: []string{"!Idempotency-Status"}})
		}
	}
	t.effects(2 * len(messages))
}

// toolsApart: a key of one tool is new to another. What becomes of it for another object of the same tool, the fate says.
func toolsApart(object fate) func(*trial) {
	return func(t *trial) {
		a := t.keyed(t.key()).saying(`"payload":`, `"id":"a","payload":`)
		t.send(a)
		t.is(t.send(a.saying(`"pay"`, `"cancel"`)), verdict{status: 201, fields: []string{"!Idempotent-Replayed"}})
		t.effects(2)
		r := t.send(a.saying(`"id":"a"`, `"id":"b"`))
		if object == again {
			t.is(r, verdict{status: 201, fields: []string{"!Idempotent-Replayed"}})
			t.effects(3)
			return
		}
		t.is(r, t.c.mismatch)
		t.effects(2)
	}
}

// keyInField: who signs a call may have the key in a header field.
func keyInField(t *trial) {
	a := t.bare().with("Idempotency-Key", t.key())
	first := t.send(a)
	t.isReplay(first, t.send(a))
	t.effects(1)
}

// rpcFates checks what becomes of the retry of a call that was answered with 200 and a member.
func rpcFates(fates map[string]fate) func(*trial) {
	return func(t *trial) {
		path := t.path
		for i, member := range slices.Sorted(maps.Keys(fates)) {
			t.path = path + "/" + string(rune('a'+i))
			answer := Answer{Status: http.StatusOK, Body: []byte(`{"jsonrpc":"2.0","id":1,` + member + `}`)}
			if fates[member] != held {
				t.follows(answer, fates[member])
				continue
			}
			t.script(answer)
			a := t.keyed(t.key())
			t.send(a)
			t.is(t.send(a), verdict{409, []string{"Idempotency-Status: unknown"}, []string{"/error/data/code=outcome-unknown"}})
			t.effects(1)
		}
	}
}
