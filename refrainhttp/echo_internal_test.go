package refrainhttp

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
)

func TestEchoOfARequest(t *testing.T) {
	t.Parallel()
	long := `"` + strings.Repeat("x", 1<<20) + `"`
	for _, tt := range []struct{ body, want string }{
		{`{"id":1}`, `1`},
		{` { "a" : {"id":2} , "id" : 1.50 , "b":[{"id":3}]} `, `1.50`},
		{`{"id":1e400}`, `1e400`},
		{`{"id":-0}`, `-0`},
		{`{"id":9007199254740993}`, `9007199254740993`},
		{`{"id":""}`, `""`},
		{`{"id":"\u0000\"},{\\"}`, `"\u0000\"},{\\"`},
		{`{"id":"\ud800"}`, `"\ud800"`},
		{`{"i\u0064":"7"}`, `"7"`},
		{`{"id":"é` + "\u2028" + `"}`, `"é` + "\u2028" + `"`},
		{`{"id":` + long + `}`, long},
		{`{"id":null}`, `null`},
		{`{"id":true}`, `null`},
		{`{"id":false}`, `null`},
		{`{"id":{"id":1}}`, `null`},
		{`{"id":[1]}`, `null`},
		{`{"id":1,"id":1}`, `null`},
		{`{"id":1,"\u0069d":2}`, `null`},
		{`{"ID":1}`, `null`},
		{`{}`, `null`},
		{`[]`, `null`},
		{`[{"id":1}]`, `null`},
		{`"id"`, `null`},
		{`1`, `null`},
		{``, `null`},
		{`{"id":1`, `null`},
		{`{"id":1}}`, `null`},
		{`{"id":01}`, `null`},
		{"\ufeff" + `{"id":1}`, `null`},
		{"{\"id\":\"\xff\"}", `null`},
		{"{\"a\":\"\xff\",\"id\":1}", `null`},
		{"{\"id\":\"a\nb\"}", `null`},
		{strings.Repeat("[", 20_000), `null`},
	} {
		if got := valueAt([]string{"id"}, []byte(tt.body)); string(got) != tt.want {
			t.Errorf("%.60q: got %.60s, want %.60s", tt.body, got, tt.want)
		}
	}
	if got := valueAt([]string{"a", "b/c"}, []byte(`{"a":[{"b/c":1}],"z":{"b/c":2},"a2":0}`)); string(got) != "null" {
		t.Errorf("got %s of a member inside an array, want null", got)
	}
	if got := valueAt([]string{"a", "b/c"}, []byte(`{"z":{"b/c":2},"a":{"x":"}","b/c":3}}`)); string(got) != "3" {
		t.Errorf("got %s of a member of a member, want 3", got)
	}
}

func TestEchoInAnAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ answer, want string }{
		{`{"id":1,"result":{"id":1}}`, `{"id":"x","result":{"id":1}}`},
		{"{ \"result\" : [ {\"id\":1} ],\r\n\t\"id\" :null }\n", "{ \"result\" : [ {\"id\":1} ],\r\n\t\"id\" :\"x\" }\n"},
		{`{"id":{"a":[1,"]}"]},"b":2}`, `{"id":"x","b":2}`},
		{`{"id":true}`, `{"id":"x"}`},
		{`{"id":1,"i\u0064":2}`, `{"id":"x","i\u0064":"x"}`},
		{`{"jsonrpc":"2.0"}`, `{"jsonrpc":"2.0"}`},
		{`{}`, `{}`},
		{`[{"id":1}]`, `[{"id":1}]`},
		{`"id"`, `"id"`},
		{` 12 `, ` 12 `},
	} {
		got, ok := mustEcho(t, "/id").in(nil, []byte(tt.answer), []byte(`"x"`))
		if string(got) != tt.want || !ok {
			t.Errorf("%s: got %s, %v; want %s", tt.answer, got, ok, tt.want)
		}
	}
	for _, answer := range []string{
		``, ` `, `{`, `{"id"`, `{"id":`, `{"id":1`, `{"id":1,`, `{"id":1}}`, `{"id" 1}`, `{"id":1;}`, `{id:1}`, `{"id":"`, `{"id":"\`,
		`{"id":[1}`, `{"id":[`, `{"id":{"a":"}`, `[1`, `[1 2]`, `[,]`, `{,}`, `{"id":1,}`, `"id`, `{}{}`, "data: {\"id\":1}",
	} {
		if got, ok := mustEcho(t, "/id").in(nil, []byte(answer), []byte(`"x"`)); ok && answer != `{"id":[1}` {
			t.Errorf("%s: got %s, want that it is no document", answer, got)
		}
	}
	got, _ := mustEcho(t, "/params/1").in(nil, []byte(`{"params":[[0,1],{"a":[]},2],"params":{"1":2}}`), []byte("3"))
	if want := `{"params":[[0,1],3,2],"params":{"1":3}}`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func mustEcho(t *testing.T, text string) *echo {
	t.Helper()
	e, err := newEcho(text)
	if err != nil {
		t.Fatal(err)
	}
	return &e
}

// FuzzEcho: what is taken of a request is one value of JSON, and put into an answer it changes nothing but the member. An answer
// that has the value already stays as it is, to the byte.
func FuzzEcho(f *testing.F) {
	f.Add(`{"id":1}`, `{"id":1,"result":{"id":[]}}`)
	f.Add(`{"id":"a\"},\"x\":{\""}`, ` { "x" : "id" , "id" : null } `)
	f.Add(`{"id":1e400}`, `{"id":"\u0000","i\u0064":{}}`)
	f.Add("{\"id\":\"\xff\"}", `[{"id":1}]`)
	f.Fuzz(func(t *testing.T, request, answer string) {
		e := mustEcho(t, "/id")
		value := valueAt([]string{"id"}, []byte(request))
		if !json.Valid(value) || strings.IndexByte("{[tf", value[0]) >= 0 || bytes.TrimSpace(value)[0] != value[0] {
			t.Fatalf("%q gives %q, which is no string, number or null", request, value)
		}
		var asked map[string]json.RawMessage
		if json.Unmarshal([]byte(request), &asked) == nil && string(value) != "null" && string(asked["id"]) != string(value) {
			t.Fatalf("%q gives %q, want %q", request, value, asked["id"])
		}
		got, ok := e.in(nil, []byte(answer), value)
		if !json.Valid([]byte(answer)) {
			return // and is given as it is, or what it becomes is no JSON either
		}
		if again, _ := e.in(nil, got, value); string(again) != string(got) || !ok {
			t.Fatalf("%q becomes %q, and then %q", answer, got, again)
		}
		if read := readAt(e, []byte(request)); read != nil && string(read) != string(value) {
			t.Fatalf("%q gives %q, and %q when it is read as a whole", request, value, read)
		}
		var before, after map[string]json.RawMessage
		if json.Unmarshal([]byte(answer), &before) != nil {
			if string(got) != answer {
				t.Fatalf("%q, which is no object, becomes %q", answer, got)
			}
			return
		}
		if err := json.Unmarshal(got, &after); err != nil {
			t.Fatalf("%q becomes %q: %v", answer, got, err)
		}
		want := maps.Clone(before)
		if _, has := before["id"]; has {
			want["id"] = value
		}
		if !reflect.DeepEqual(after, want) {
			t.Fatalf("%q becomes %q", answer, got)
		}
	})
}

// readAt returns the value that a request has by the pass that makes its canonical form, nil if that has no single meaning.
func readAt(e *echo, request []byte) []byte {
	x := exchange{body: &buffer{request}, work: &workspace{}}
	if err := e.at.join(&selector{included: true}); err != nil || !x.work.read(request, e.at.tree).plain {
		return nil
	}
	return x.valueOf(e)
}
