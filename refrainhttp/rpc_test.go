package refrainhttp_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// tool answers as a server of JSON-RPC does, with another result each time.
func tool() http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		var request struct{ ID json.RawMessage }
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &request)
		w.Header().Set("Content-Type", "application/json")
		if request.ID == nil {
			w.Header().Del("Content-Type")
			w.WriteHeader(http.StatusAccepted)
			return
		}
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"id":%d}}`, request.ID, n.Add(1))
	}
}

// speaking is the policy of a dialect.
func speaking(t *testing.T, name string) refrainhttp.Policy {
	t.Helper()
	d, ok := refrainhttp.LookupDialect(name)
	if !ok {
		t.Fatalf("there is no dialect %s", name)
	}
	return d.Policy
}

// call is a request to a tool of acp-mcp.
func call(id, key string) ask {
	return post("", fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"pay","_meta":{"progressToken":%q},`+
		`"arguments":{"meta":{"idempotency_key":%q,"idempotency-key":%[3]q},"amount":1}}}`, id, id, key))
}

func (a ask) saying(old, text string) ask {
	a.body = strings.Replace(a.body, old, text, 1)
	return a
}

// rpc checks that a reply is an answer with that id and that rest, to the byte.
func (s *site) rpc(r reply, id, rest string) {
	s.t.Helper()
	if want := `{"jsonrpc":"2.0","id":` + id + `,` + rest; r.body != want {
		s.t.Errorf("got %s, want %s", r, want)
	}
	if got := r.header.Get("Content-Length"); got != strconv.Itoa(len(r.body)) {
		s.t.Errorf("got Content-Length %q, want %d", got, len(r.body))
	}
}

func TestReplaysHaveTheIDOfTheirRequest(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"acp-mcp", "ucp-mcp"} {
		s := newSite(t, oneRoute(speaking(t, dialect)), tool())
		const result = `"result":{"id":1}}`
		s.rpc(s.do(call("1", "k")), "1", result)
		for _, id := range []string{`1`, `2`, `"1"`, `""`, `-7`, `1.0`, `1e400`, `9007199254740993`, `"\u0000\"},{"`, `"é"`, `null`} {
			r := s.do(call(id, "k"))
			s.rpc(r, id, result)
			if !r.replayed() || r.code != 200 {
				t.Errorf("%s: got %s, want a replay", id, r)
			}
		}
		for _, id := range []string{`{"id":1}`, `[1]`, `true`} { // which no answer repeats
			s.rpc(s.do(call(id, "k")), "null", result)
		}
		long := `"` + strings.Repeat("x", 900_000) + `"`
		s.rpc(s.do(call(long, "k").saying(long[1:len(long)-1]+`\"`, "x").saying(`"progressToken":"\"`+long[1:len(long)-1], `"x":"`)), long, result)
		s.ran(1)
	}
}

func TestRefusalsHaveTheIDOfTheirRequest(t *testing.T) {
	t.Parallel()
	p := speaking(t, "acp-mcp")
	p.Limits.RequestBody = 2000
	s := newSite(t, oneRoute(p), tool())
	first := s.do(call("1", "k"))
	const data = `"error":{"code":-32000,"message":`
	for _, tt := range []struct {
		about  string
		ask    ask
		status int
		id     string
		code   string
	}{
		{"a mismatch", call(`"a"`, "k").saying(`"amount":1`, `"amount":2`), 200, `"a"`, "idempotency_conflict"},
		{"a number that no float is", call(`9007199254740993`, "k").saying(`"amount":1`, `"amount":2`), 200, `9007199254740993`, "idempotency_conflict"},
		{"what would end the document", call(`"\"}}<\u0000"`, "k").saying(`"amount":1`, `"amount":2`), 200, `"\"}}<\u0000"`, "idempotency_conflict"},
		{"an object", call(`{"x":1}`, "k").saying(`"amount":1`, `"amount":2`), 200, `null`, "idempotency_conflict"},
		{"no id", call(`3`, "k").saying(`"id":3,`, ``).saying(`"amount":1`, `"amount":2`), 200, `null`, "idempotency_conflict"},
		{"a key that is none", call(`4`, "").saying(`"idempotency_key":""`, `"idempotency_key":[]`), 200, `4`, "key-invalid"},
		{"two ids", call(`5,"id":6`, "k"), 200, `null`, "key-invalid"},
		{"bytes that are no text", call(`"x"`, "k").saying("x", "\xff"), 200, `null`, "key-invalid"},
		{"half a character", call(`"\ud800"`, "k"), 200, `"\ud800"`, "key-invalid"},
		{"too long", call(`7`, strings.Repeat("k", 3000)), 413, `null`, "body-too-large"},
	} {
		r := s.do(tt.ask)
		if !json.Valid([]byte(r.body)) && tt.about != "half a character" || r.code != tt.status {
			t.Errorf("%s: got %s, want %d and JSON", tt.about, r, tt.status)
		}
		begin := `{"jsonrpc":"2.0","id":` + tt.id + `,` + data
		if !strings.HasPrefix(r.body, begin) || !strings.Contains(r.body, `"type":"invalid_request","code":"`+tt.code+`"`) {
			t.Errorf("%s: got %s, want %s… with %s", tt.about, r, begin, tt.code)
		}
	}
	s.same(first, s.do(call("1", "k")))
	s.ran(1)
	s.store.claims.Store(true)
	if r := s.do(call(`8`, "l")); r.code != 503 || r.header.Get("Retry-After") == "" ||
		!strings.HasPrefix(r.body, `{"jsonrpc":"2.0","id":8,`) || !strings.Contains(r.body, "service_unavailable") {
		t.Errorf("got %s while the store is away", r)
	}
}

func TestUCPOverMCPSpeaksByTheStatus(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	s := newSite(t, oneRoute(speaking(t, "ucp-mcp")), func(w http.ResponseWriter, r *http.Request) {
		<-hold
		refrainhttp.Fail(w, r, refrainhttp.Unanswered)
	})
	answer := make(chan reply, 1)
	go func() { answer <- s.try(t.Context(), call(`1`, "k")) }()
	eventually(t, "it runs", func() bool { return s.runs.Load() == 1 })
	r := s.do(call(`2`, "k"))
	if r.code != 409 || !strings.HasPrefix(r.body, `{"jsonrpc":"2.0","id":2,"error":{"code":-32000,`) ||
		!strings.HasSuffix(r.body, `,"retry_after":`+r.header.Get("Retry-After")+`}}}`) {
		t.Errorf("got %s, want that it is in flight", r)
	}
	r = s.do(call(`3`, "k").saying(`"amount":1`, `"amount":2`))
	if r.code != 409 || !strings.HasPrefix(r.body, `{"jsonrpc":"2.0","id":3,"error":{"code":-32000,`) {
		t.Errorf("got %s, want a mismatch", r)
	}
	close(hold)
	first := <-answer
	if first.code != 502 || !strings.HasPrefix(first.body, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,`) {
		t.Errorf("got %s, want that the API did not answer", first)
	}
	if r := s.do(call(`4`, "k")); r.code != 502 || r.body != strings.Replace(first.body, `"id":1`, `"id":4`, 1) || r.status() != "unknown" {
		t.Errorf("got %s, want the same with its own id", r)
	}
	if r := s.do(call(`5`, "")); r.code != 400 {
		t.Errorf("got %s, want that a key is empty", r)
	}
	unkeyed := s.do(post("", `{"jsonrpc":"2.0","id":"u","method":"tools/list"}`))
	if unkeyed.code != 502 || !strings.HasPrefix(unkeyed.body, `{"jsonrpc":"2.0","id":"u","error":{"code":-32603,`) {
		t.Errorf("got %s, want the id of the request without a key", unkeyed)
	}
}

// What a tool says without having done anything is not what a retry hears.
func TestClassesOfRPCAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		dialect, answer string
		runs            int64
		status          string
	}{
		{"acp-mcp", `"result":{"resultType":"input_required","inputRequests":{}}`, 2, "executed"},
		{"acp-mcp", `"result":{"resultType":"complete"}`, 1, "replayed"},
		{"acp-mcp", `"result":{"isError":true,"content":[]}`, 1, "replayed"},
		{"acp-mcp", `"error":{"code":-32000,"data":{"type":"processing_error"}}`, 2, "executed"},
		{"acp-mcp", `"error":{"code":-32000,"data":{"type":"service_unavailable"}}`, 2, "executed"},
		{"acp-mcp", `"error":{"code":-32000,"data":{"type":"invalid_request"}}`, 1, "replayed"},
		{"acp-mcp", `"error":{"code":-32603,"message":"internal"}`, 2, "executed"},
		{"acp-mcp", `"error":{"code":-32602,"message":"params"}`, 1, "replayed"},
		{"ucp-mcp", `"result":{"resultType":"input_required","inputRequests":{}}`, 2, "executed"},
		{"ucp-mcp", `"error":{"code":-32603,"message":"internal"}`, 1, "unknown"},
		{"ucp-mcp", `"error":{"code":-32000,"data":{"retry_after":5}}`, 2, "executed"},
		{"ucp-mcp", `"error":{"code":-32000,"data":{"code":"x"}}`, 1, "replayed"},
	} {
		s := newSite(t, oneRoute(speaking(t, tt.dialect)), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,`+tt.answer+`}`)
		})
		s.do(call("1", "k"))
		r := s.do(call("1", "k"))
		if r.status() != tt.status {
			t.Errorf("%s, %s: the retry got %s, want it %s", tt.dialect, tt.answer, r, tt.status)
		}
		s.ran(tt.runs)
	}
}

// The keys of one tool are not those of another.
func TestKeysAreBoundToMembers(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(speaking(t, "acp-mcp")), tool())
	pay := call("1", "k")
	for _, other := range []ask{
		pay, pay.saying(`"pay"`, `"cancel"`), pay.saying(`"amount":1`, `"id":"a"`), pay.saying(`"amount":1`, `"id":"b"`),
		pay.saying(`"amount":1`, `"id":""`), pay.saying(`"name":"pay",`, ``), pay.saying(`"name":"pay"`, `"name":"","id":"pay"`),
	} {
		for i := range 2 {
			if r := s.do(other); r.code != 200 || r.replayed() != (i == 1) {
				t.Errorf("%s: got %s in turn %d", other.body, r, i)
			}
		}
	}
	s.ran(7)
	s = newSite(t, oneRoute(speaking(t, "ucp-mcp")), tool())
	s.do(pay)
	s.do(pay.saying(`"pay"`, `"cancel"`))
	s.ran(2)
	if r := s.do(pay.saying(`"amount":1`, `"id":"a"`)); r.code != 409 {
		t.Errorf("got %s, want a mismatch", r)
	}
	s.ran(2)
}

// A key is bound to all of a member, also to what two uses of it need not have in common.
func TestKeysAreBoundToWholeMembers(t *testing.T) {
	t.Parallel()
	for _, f := range []refrainhttp.Fingerprint{
		{Include: []string{"/a"}}, {Include: []string{"/b/y"}}, {Exclude: []string{"/b/x", "/b/0"}}, {Exclude: []string{"/b"}},
	} {
		p := atOnce()
		p.Fingerprint, p.ScopeBody = f, []string{"/b"}
		s := newSite(t, oneRoute(p), charge())
		for _, b := range []string{`{"x":1,"y":1}`, `{"x":2,"y":1}`, `{"y":1}`, `[1]`, `[2]`, `[]`, `{}`, `"{}"`, `null`, `"null"`} {
			for i, body := range []string{`{"a":1,"b":` + b + `}`, `{"b": ` + b + ` ,"a":1}`} {
				if r := s.do(post("k", body)); r.replayed() != (i == 1) {
					t.Errorf("%+v: %s: got %s in turn %d", f, body, r, i)
				}
			}
		}
		s.ran(10)
	}
}

// Most of what an MCP server gets is no operation.
func TestRequestsThatAreNoOperations(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"acp-mcp", "ucp-mcp"} {
		s := newSite(t, oneRoute(speaking(t, dialect)), tool())
		for n, body := range []string{
			`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`,
			`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`,
			`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
			`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"get","arguments":{"meta":{}}}}`,
			`[{"jsonrpc":"2.0","id":4,"method":"tools/list"},{"idempotency_key":null}]`,
			`{"id":5,"id":6}`, `no JSON`, "",
			`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"say","arguments":{"text":"\ud83d"}}}`, // cut in half by a client
			`{"id":8,"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, "{\"id\":\"\xff\"}",
			`[{"id":9,"id":10}]`,
		} {
			for i := range 2 {
				if r := s.do(post("", body)); r.code/100 != 2 || r.status() != "" || r.replayed() {
					t.Errorf("%s: got %s, want it passed on", body, r)
				} else if i == 1 && s.runs.Load() < int64(n) {
					t.Errorf("%s did not run", body)
				}
			}
		}
	}
}

// No key is that of a whole batch, which MCP has none of any more. It does not run as if it had none.
func TestBatchesWithKeysAreRefused(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"acp-mcp", "ucp-mcp"} {
		s := newSite(t, oneRoute(speaking(t, dialect)), tool())
		list := `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
		for _, body := range []string{
			"[" + call("1", "k").body + "]", " [" + list + "," + call("2", "k").body + "]",
			`[{"id":1,"id":2},` + call("3", "k").body + "]",
			"[" + call("1", "k").saying("idempotency", `\u0069dempotency`).saying("idempotency", `\u0069dempotency`).body + "]",
		} {
			if r := s.do(post("", body)); !strings.HasPrefix(r.body, `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,`) ||
				!strings.Contains(r.body, "key-invalid") {
				t.Errorf("%s: got %s, want that the key is not one of the request", body, r)
			}
		}
		s.ran(0)
	}
}

// A notification has no id, and its answer no body.
func TestNotificationsWithAKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(speaking(t, "acp-mcp")), tool())
	notification := call("1", "k").saying(`"id":1,`, ``)
	s.do(notification)
	for _, a := range []ask{notification, call("2", "k")} {
		if r := s.do(a); r.code != 202 || r.body != "" || !r.replayed() {
			t.Errorf("got %s, want the empty answer", r)
		}
	}
	s.ran(1)
}

// A waiting duplicate hears the answer with its own id.
func TestWaitersHaveTheirOwnID(t *testing.T) {
	t.Parallel()
	p := speaking(t, "acp-mcp")
	p.Operation.Wait = time.Minute
	open := make(chan struct{})
	answer := tool()
	s := newSite(t, oneRoute(p), func(w http.ResponseWriter, r *http.Request) { <-open; answer(w, r) })
	answers := make([]chan reply, 20)
	for i := range answers {
		answers[i] = make(chan reply, 1)
		go func() { answers[i] <- s.try(t.Context(), call(strconv.Itoa(i), "k")) }()
	}
	eventually(t, "it runs", func() bool { return s.runs.Load() == 1 })
	close(open)
	for i, c := range answers {
		s.rpc(<-c, strconv.Itoa(i), `"result":{"id":1}}`)
	}
	s.ran(1)
}
