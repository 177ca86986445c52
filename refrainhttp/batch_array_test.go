package refrainhttp

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// FuzzArray takes documents apart and puts them together again: the elements are those that encoding/json finds, and a document
// with the same elements means the same.
func FuzzArray(f *testing.F) {
	for _, seed := range []string{
		`[]`, `[1]`, ` [ 1 , {"a":[2]} ] `, `{"a":[1,"]",{"b":[]}]}`, `{"b":1,"a":[1]}`, `{"a":{},"c":[1]}`, `{"a":[1],"a":[2]}`,
		`{"a":[1}`, `{"a" : [ "\\" , "\"" , -0.5e10 ] , "z" : null }`, "[\"\xff\"]",
	} {
		f.Add([]byte(seed), seed[0] == '[')
	}
	f.Fuzz(func(t *testing.T, doc []byte, bare bool) {
		p := arrayPath{"a"}
		if bare {
			p = nil
		}
		work := &workspace{}
		a, err := p.find(doc, work)
		if err != nil {
			return
		}
		elements := make([][]byte, len(a.elements))
		for i, e := range a.elements {
			elements[i] = doc[e.start:e.end]
			if !json.Valid(elements[i]) || len(bytes.TrimSpace(elements[i])) != len(elements[i]) {
				t.Errorf("%q: element %d is %q, want a value and no more", doc, i, elements[i])
			}
		}
		again := a.with(doc, elements...)
		if !bytes.Equal(canonicalOf(t, doc), canonicalOf(t, again)) {
			t.Errorf("%q with its own elements is %q", doc, again)
		}
		fewer, err := p.find(a.with(doc, elements[:len(elements)/2]...), work)
		if err != nil || len(fewer.elements) != len(elements)/2 {
			t.Errorf("%q with half of its elements: got %v, %v", doc, fewer, err)
		}
	})
}

func canonicalOf(t *testing.T, doc []byte) []byte {
	t.Helper()
	var c canonicaliser
	b, ok := c.append(nil, doc, nil)
	if !ok {
		t.Errorf("%q has no single meaning", doc)
	}
	return b
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]arrayPath{`[1]`: nil, `{"a":{"b\"":[1]}}`: {"a", `b"`}} {
		doc, a := p.wrap()
		if got := string(a.with(doc, []byte("1"))); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A body may be an array of half a million numbers. No item is made of any to see that it is no batch. It measures
// memory, and does not run beside others.
func TestArraysThatAreNoBatchAreCheap(t *testing.T) {
	p, err := compile("POST /", Policy{Batch: Batch{Key: "/id"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const n = 100_000
	body := []byte("[" + strings.Repeat("1,", n) + `{"ID":1}]`)
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	x := &exchange{plan: p, request: r, body: &buffer{b: body}, work: &workspace{}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	items, _, f := p.batch.split(x)
	runtime.ReadMemStats(&after)
	each := (after.TotalAlloc - before.TotalAlloc) / n // half of it what encoding/json takes and gives back
	if len(items) > 0 || f.kind != problemNone || each > 280 {
		t.Errorf("got %d items and %v, %d bytes for each element; want nothing of them kept", len(items), f, each)
	}
}
