package refrainhttp

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// keyRequest returns a request with header lines "Name: value".
func keyRequest(query string, lines ...string) *http.Request {
	r := &http.Request{Method: "POST", URL: &url.URL{Path: "/", RawQuery: query}, Header: http.Header{}}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// keyText returns the key, however it is held.
func keyText(k *clientKey) string { return k.value + string(k.built) }

func TestKeySources(t *testing.T) {
	t.Parallel()
	const none, refused = "none", "refused"
	const form = "Content-Type: application/x-www-form-urlencoded"
	for _, tt := range []struct {
		from, query, body string
		lines             []string
		want              string // the key; none or refused
		about             string // of an error
	}{
		{from: "header:x-key", lines: []string{"X-Key: k"}, want: "k"},
		{from: "header:X-Key", want: none},
		{from: "header:X-Key", lines: []string{"X-Key: a", "X-Key: a"}, want: refused, about: "X-Key: the request has 2"},
		{from: "query:key", query: "a=1&key=k%20k", want: "k k"},
		{from: "query:key", query: "a=1", want: none},
		{from: "query:key", want: none},
		{from: "query:key", query: "key=a&key=a", want: refused, about: "there 2 times"},
		{from: "query:key", query: "key=", want: refused, about: "empty"},
		{from: "query:key", query: "key=%zz", want: refused, about: "not well-formed"},
		{from: "query:a b", query: "a+b=k", want: "k"},
		{from: "form:key", body: "key=k&a=1", lines: []string{form}, want: "k"},
		{from: "form:key", body: "key=k", want: none}, // not a form
		{from: "form:key", body: "key=k&key=l", lines: []string{form}, want: refused, about: "there 2 times"},
		{from: "body:/id", body: `{"id":"k"}`, want: "k"},
		{from: "body:/id", body: `{"\u0069d":"\u006b"}`, want: "k"},
		{from: "body:/id", body: `{"id":12.0}`, want: "12"},
		{from: "body:/id", body: `{"id":1200}`, want: "1200"},
		{from: "body:/id", body: `{"id":null}`, want: none},
		{from: "body:/id", body: `{"other":1}`, want: none},
		{from: "body:/id", body: `not json`, want: none},
		{from: "body:/id", body: ``, want: none},
		{from: "body:/id", body: `{"id":""}`, want: refused, about: "empty"},
		{from: "body:/id", body: `{"id":{"a":1}}`, want: refused, about: "neither a string nor a number"},
		{from: "body:/id", body: `{"id":true}`, want: refused, about: "neither a string nor a number"},
		{from: "body:/id", body: `{"id":"a","id":"b"}`, want: refused, about: "no single meaning"},
		{from: "body:/id", body: `{"id":"a\u0000"}`, want: refused, about: "not printable"},
		{from: "body:/a/1/id", body: `{"a":[{"id":"x"},{"id":"y"}]}`, want: "y"},
		{from: "body:/a/1/id", body: `{"a":[{"id":"x"}]}`, want: none},
		{from: "body:/a~1b", body: `{"a/b":"k"}`, want: "k"},
		{from: "tuple:Ce-Source,Ce-Id", lines: []string{"Ce-Source: s", "Ce-Id: i"}, want: "\x01s\x01i"},
		{from: "tuple:Ce-Source,Ce-Id", want: none},
		{from: "tuple:Ce-Source,Ce-Id", lines: []string{"Ce-Id: i"}, want: refused, about: "no Ce-Source"},
		{from: "tuple:Ce-Source,Ce-Id", lines: []string{"Ce-Id: i", "Ce-Source: "}, want: refused, about: "Ce-Source is empty"},
		{from: "tuple:Ce-Source,/id", lines: []string{"Ce-Source: s"}, body: `{"id":7}`, want: "\x01s\x017"},
		{from: "tuple:A,B", lines: []string{"A: " + strings.Repeat("x", 5000), "B: y"}, want: refused, about: "characters together"},
	} {
		k := mustKeyReader(t, Key{From: []string{tt.from}})
		got, err := k.read(keyRequest(tt.query, tt.lines...), []byte(tt.body), &workspace{})
		switch {
		case tt.want == none && err == nil && got.none(), tt.want == refused && err != nil && strings.Contains(err.Error(), tt.about):
		case err != nil || keyText(&got) != tt.want:
			t.Errorf("%s of %q %q %q: got %q, %v, want %s %s", tt.from, tt.query, tt.lines, tt.body, keyText(&got), err, tt.want, tt.about)
		}
	}
}

func TestTheFirstSourceThatHasAKeyCounts(t *testing.T) {
	t.Parallel()
	k := mustKeyReader(t, Key{From: []string{"header:Idempotency-Key", "query:key", "body:/id"}})
	for want, r := range map[string]*http.Request{
		"h": keyRequest("key=q", "Idempotency-Key: h"),
		"q": keyRequest("key=q"),
		"b": keyRequest(""),
	} {
		if got, err := k.read(r, []byte(`{"id":"b"}`), &workspace{}); err != nil || keyText(&got) != want {
			t.Errorf("got %q, %v, want %q", keyText(&got), err, want)
		}
	}
	if _, err := k.read(keyRequest("key=q", "Idempotency-Key: "), nil, &workspace{}); err == nil {
		t.Error("an empty header falls through to the next source")
	}
}

func TestBadKeySources(t *testing.T) {
	t.Parallel()
	for _, from := range []string{
		"", "X-Key", "header:", "header:a b", "query:", "form:", "body:", "body:id", "body:/a~2", "tuple:", "tuple:A", "tuple:A,",
		"tuple:A,b c", "cookie:a",
	} {
		if _, err := newKeyReader(Policy{Key: Key{From: []string{from}}}.WithDefaults().Key); err == nil {
			t.Errorf("the source %q is accepted", from)
		} else if from != "" && !strings.Contains(err.Error(), from) {
			t.Errorf("%q: the error does not name it: %v", from, err)
		}
	}
}

// TestTuplesNeverMeet: what the parts are cannot be told by where one ends and the next begins.
func TestTuplesNeverMeet(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	const alphabet = "x\x03\x04"
	text := func() string {
		b := make([]byte, 1+rnd.IntN(4))
		for i := range b {
			b[i] = alphabet[rnd.IntN(len(alphabet))]
		}
		return "x" + string(b) + "x" // without spaces at its ends, and with what may look like one
	}
	k := mustKeyReader(t, Key{From: []string{"tuple:A,B,C"}})
	seen := map[string][3]string{}
	for range 20_000 {
		parts := [3]string{text(), text(), text()}
		r := &http.Request{URL: &url.URL{}, Header: http.Header{"A": {parts[0]}, "B": {parts[1]}, "C": {parts[2]}}}
		got, err := k.read(r, nil, &workspace{})
		if err != nil {
			t.Fatal(err)
		}
		if was, ok := seen[keyText(&got)]; ok && was != parts {
			t.Fatalf("seed %d: %q and %q have one key", seed, was, parts)
		}
		seen[keyText(&got)] = parts
	}
}

// FuzzKeySources: whatever a request holds, a key that is accepted has its bounds, and no source panics.
func FuzzKeySources(f *testing.F) {
	f.Add("key=k", `{"id":"k"}`, "s", "i")
	f.Add("key=%zz&key", `{"id":"a","id":"b"}`, "", "\x00")
	f.Fuzz(func(t *testing.T, query, body, source, id string) {
		r := keyRequest(query, "Content-Type: application/x-www-form-urlencoded")
		r.Header["Ce-Source"], r.Header["Ce-Id"] = []string{source}, []string{id}
		for _, from := range []string{"query:key", "form:key", "body:/id", "body:/a/0", "tuple:Ce-Source,Ce-Id", "tuple:Ce-Id,/id"} {
			k := mustKeyReader(t, Key{From: []string{from}})
			got, err := k.read(r, []byte(body), &workspace{})
			if err == nil && len(keyText(&got)) > maxKeyLength {
				t.Errorf("%s: got the key %q", from, keyText(&got))
			}
		}
	})
}
