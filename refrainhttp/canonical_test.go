package refrainhttp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func canonical(text string) (string, bool) {
	b, ok := new(canonicaliser).append(nil, []byte(text), nil)
	return string(b), ok
}

func TestCanonicalJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`1`: "1", ` 1 `: "1", `1.0`: "1", `1e0`: "1", `10e-1`: "1", `0.1e1`: "1", `1E+0`: "1", `100e-2`: "1", `0.001e3`: "1",
		`0`: "0", `-0`: "0", `0.0`: "0", `-0.00e5`: "0", `0e999999999999999999999999`: "0",
		`10`: "1e1", `1e1`: "1e1", `100`: "1e2", `-10.50`: "-105e-1", `0.05`: "5e-2", `12.30`: "123e-1",
		`9007199254740993`: "9007199254740993", `9007199254740992`: "9007199254740992", `9007199254740993.0`: "9007199254740993",
		`1e400`: "1e400", `10e399`: "1e400", `1e-400`: "1e-400", `1e0000000000000000000000001`: "1e1",
		`1e999999999999999999`: "1e999999999999999999", `10e999999999999999998`: "1e999999999999999999",
		`"a"`: `"a"`, `"\u0061"`: `"a"`, `"\/"`: `"/"`, `"\n"`: `"\u000a"`, `"\u000A"`: `"\u000a"`, `"\"\\"`: `"\"\\"`,
		`"\ud83d\ude00"`: `"😀"`, `"😀"`: `"😀"`, `"é"`: `"é"`, `"e\u0301"`: "\"e\u0301\"", `"\u007f"`: "\"\x7f\"",
		`true`: "true", `false`: "false", `null`: "null", `[]`: "[]", `{}`: "{}", " [ 1 , 2 ] ": "[1,2]",
		`{"b":1,"a":2}`: `{"a":2,"b":1}`, `{"a":{"d":1,"c":2},"A":[{"z":1,"y":2}]}`: `{"A":[{"y":2,"z":1}],"a":{"c":2,"d":1}}`,
		`{"":1}`: `{"":1}`, `{"\u0062":1,"a":2}`: `{"a":2,"b":1}`, `{"a":1,"aa":2,"a\"":3}`: `{"a":1,"a\"":3,"aa":2}`,
	} {
		if got, ok := canonical(in); !ok || got != want {
			// Names may be in any fixed order.
			if sortedOnly(got, want) {
				continue
			}
			t.Errorf("%s got %s, %t, want %s", in, got, ok, want)
		}
	}
	deep := strings.Repeat("[", maxDepth) + "1" + strings.Repeat("]", maxDepth)
	if _, ok := canonical(deep); !ok {
		t.Errorf("depth %d is refused", maxDepth)
	}
	for _, in := range []string{
		"", " ", "01", "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "NaN", "Infinity", "1 2", "1,", "[1,]", "[,1]", "[1 2]", "{", "[",
		`{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a":1 "b":2}`, `"`, `"\x"`, `"\u12"`, `"\u123g"`, "\"\n\"", "\"\x00\"", `'a'`,
		"tru", "truee", "nul", "/**/1", "\ufeff1", "1\x00", "\xff", "\"\xff\"", "\"\xed\xa0\x80\"",
		`"\ud83d"`, `"\ude00"`, `"\ud83d\u0061"`, `"\ud83dx"`, `"\ude00\ud83d"`,
		`{"a":1,"a":1}`, `{"a":1,"\u0061":2}`, `[{"x":{"b":1,"a":2,"b":3}}]`,
		"[" + deep + "]", strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200),
		`1e1000000000000000000`, `1e-1000000000000000000`,
	} {
		if got, ok := canonical(in); ok {
			t.Errorf("%.40q got %q, want it refused", in, got)
		}
	}
}

// Memory stays in proportion to the text, whatever is in it.
func TestCanonicalJSONInBoundedMemory(t *testing.T) {
	t.Parallel()
	const n = 1 << 18
	for name, text := range map[string]string{
		"exponent":         "1E1000000",
		"negative":         "1e-1000000",
		"largest exponent": "-9.99e999999999999999998",
		"long exponent":    "1e" + strings.Repeat("9", n),
		"zero exponent":    "1e" + strings.Repeat("0", n),
		"digits":           strings.Repeat("9", n),
		"zeros":            "1" + strings.Repeat("0", n),
		"small":            "0." + strings.Repeat("0", n) + "1",
		"lists":            strings.Repeat("[", n),
		"objects":          strings.Repeat(`{"a":`, n),
		"closed lists":     strings.Repeat("[", n) + strings.Repeat("]", n),
		"members":          "{" + strings.Repeat(`"":1,`, n) + `"":1}`,
		"elements":         "[" + strings.Repeat("0,", n) + "0]",
		"control":          `"` + strings.Repeat(`\n`, n) + `"`,
		"backwards":        strings.Repeat(`{"b":0,"a":`, maxDepth) + strings.Repeat("1", n) + strings.Repeat("}", maxDepth),
		"space":            strings.Repeat(" ", n) + "1",
	} {
		var c canonicaliser
		out, _ := c.append(nil, []byte(text), nil)
		if got := cap(out) + cap(c.moved) + cap(c.members)*memberSize; got > 16*len(text)+1024 {
			t.Errorf("%s: %d bytes take %d bytes of memory", name, len(text), got)
		}
	}
}

// sortedOnly reports whether two texts have the same bytes in another order.
func sortedOnly(a, b string) bool {
	x, y := []byte(a), []byte(b)
	slices.Sort(x)
	slices.Sort(y)
	return bytes.Equal(x, y)
}

// meaning is a slow, independent reading of a JSON text with encoding/json and big.Rat. It refuses what has no single
// meaning.
func meaning(text []byte) (string, bool) {
	if !utf8.Valid(text) || !json.Valid(text) || loneSurrogate(text) {
		return "", false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	s, ok := meaningOf(d, 0)
	if _, err := d.Token(); err != io.EOF {
		return "", false
	}
	return s, ok
}

// loneSurrogate reports whether a valid text escapes one: encoding/json replaces it.
func loneSurrogate(text []byte) bool {
	for i := 0; i+5 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if text[i+1] != 'u' {
			i++
			continue
		}
		var hi, lo rune
		fmt.Sscanf(string(text[i+2:i+6]), "%04x", &hi)
		switch {
		case hi >= 0xdc00 && hi < 0xe000:
			return true
		case hi >= 0xd800 && hi < 0xdc00:
			if i+12 > len(text) || string(text[i+6:i+8]) != `\u` {
				return true
			}
			fmt.Sscanf(string(text[i+8:i+12]), "%04x", &lo)
			if lo < 0xdc00 || lo >= 0xe000 {
				return true
			}
			i += 11
		default:
			i += 5
		}
	}
	return false
}

func meaningOf(d *json.Decoder, depth int) (string, bool) {
	tok, err := d.Token()
	if err != nil || depth > maxDepth {
		return "", false
	}
	switch v := tok.(type) {
	case json.Number:
		return numberMeaning(string(v))
	case string:
		return fmt.Sprintf("%q", v), true
	case json.Delim:
		var parts []string
		seen := map[string]bool{}
		for d.More() {
			part := ""
			if v == '{' {
				name, err := d.Token()
				if err != nil || seen[name.(string)] {
					return "", false
				}
				seen[name.(string)] = true
				part = fmt.Sprintf("%q:", name)
			}
			inner, ok := meaningOf(d, depth+1)
			if !ok {
				return "", false
			}
			parts = append(parts, part+inner)
		}
		if _, err := d.Token(); err != nil {
			return "", false
		}
		if v == '{' {
			slices.Sort(parts)
			return "{" + strings.Join(parts, ",") + "}", true
		}
		return "[" + strings.Join(parts, ",") + "]", true
	}
	return fmt.Sprint(tok), true
}

// numberMeaning returns a number's exact value. Those too large for big.Rat are told apart by their digits.
func numberMeaning(s string) (string, bool) {
	mantissa, exp, _ := strings.Cut(strings.ToLower(s), "e")
	m, ok := new(big.Rat).SetString(mantissa)
	if !ok {
		return "", false
	}
	if m.Sign() == 0 {
		return "0", true
	}
	e := new(big.Int)
	if exp != "" {
		if _, ok := e.SetString(strings.TrimPrefix(exp, "+"), 10); !ok {
			return "", false
		}
	}
	if len(strings.TrimLeft(strings.TrimLeft(exp, "+-"), "0")) > maxExponentDigits {
		return "", false
	}
	ten := big.NewRat(10, 1)
	for m.IsInt() && new(big.Int).Mod(m.Num(), big.NewInt(10)).Sign() == 0 {
		m.Quo(m, ten)
		e.Add(e, big.NewInt(1))
	}
	for !m.IsInt() {
		m.Mul(m, ten)
		e.Sub(e, big.NewInt(1))
	}
	return m.Num().String() + "e" + e.String(), true
}

// agree checks that two texts have equal canonical forms exactly when they mean the same.
func agree(t *testing.T, a, b []byte) {
	t.Helper()
	ca, okA := new(canonicaliser).append(nil, a, nil)
	cb, okB := new(canonicaliser).append(nil, b, nil)
	ma, wantA := meaning(a)
	mb, wantB := meaning(b)
	if okA != wantA || okB != wantB {
		t.Fatalf("%q, %q: accepted %t, %t, want %t, %t", a, b, okA, okB, wantA, wantB)
	}
	if okA && okB && bytes.Equal(ca, cb) != (ma == mb) {
		t.Fatalf("%q, %q: forms %q, %q, meanings %q, %q", a, b, ca, cb, ma, mb)
	}
	if !okA {
		return
	}
	if len(ca) > 3*len(a) {
		t.Fatalf("%q: the form %q is more than three times as long", a, ca)
	}
	again, ok := new(canonicaliser).append(nil, ca, nil)
	if !ok || !bytes.Equal(again, ca) {
		t.Fatalf("%q: the form %q has the form %q, %t", a, ca, again, ok)
	}
}

func FuzzCanonicalJSON(f *testing.F) {
	for _, p := range [][2]string{
		{`{"a":1,"b":[true,null,"x"]}`, `{"b":[true,null,"\u0078"],"a":1.0}`},
		{`9007199254740993`, `9007199254740992`},
		{`-0`, `0.0e5`},
		{`1e400`, `10e399`},
		{`"\ud83d\ude00"`, `"😀"`},
		{`{"a":1,"a":2}`, `{"a":2}`},
		{`[1,[2,[3]]]`, `[1,[2,[3.0]]]`},
		{`{"a\"":1,"a!":2}`, `{"a!":2,"a\u0022":1}`},
		{`"\u001f"`, `"\u001F"`},
		{`1e999999999999999999`, `1e1000000000000000000`},
	} {
		f.Add([]byte(p[0]), []byte(p[1]))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a) > 2000 || len(b) > 2000 {
			return // big.Rat is slow
		}
		agree(t, a, b)
	})
}

func TestIncludeAndExclude(t *testing.T) {
	t.Parallel()
	const doc = `{"amount":1,"meta":{"trace":"x","tags":["a","b"]},` +
		`"items":[{"id":1,"at":5},{"id":2,"at":6}],"a/b":1,"m~n":2,"q\"":3}`
	for _, tt := range []struct {
		include, exclude []string
		want             string
	}{
		{nil, []string{"/meta"}, `{"amount":1,"items":[{"id":1,"at":5},{"id":2,"at":6}],"a/b":1,"m~n":2,"q\"":3}`},
		{
			nil,
			[]string{"/meta/trace", "/items/0/at", "/items/1"},
			`{"amount":1,"meta":{"tags":["a","b"]},"items":[{"id":1}],"a/b":1,"m~n":2,"q\"":3}`,
		},
		{[]string{"/amount"}, nil, `{"amount":1}`},
		{[]string{"/amount", "/meta/tags"}, nil, `{"amount":1,"meta":{"tags":["a","b"]}}`},
		{[]string{"/items/1/id"}, nil, `{"items":[{"id":2}]}`},
		{[]string{"/meta"}, []string{"/meta/trace"}, `{"meta":{"tags":["a","b"]}}`},
		{[]string{"/a~1b", "/m~0n", "/q\""}, nil, `{"a/b":1,"m~n":2,"q\"":3}`},
		{[]string{"/nothing"}, nil, `{}`},
		{[]string{""}, []string{"/meta", "/items"}, `{"amount":1,"a/b":1,"m~n":2,"q\"":3}`},
	} {
		s, err := newSelector(tt.include, tt.exclude)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := new(canonicaliser).append(nil, []byte(doc), s)
		want, okWant := canonical(tt.want)
		if !ok || !okWant || string(got) != want {
			t.Errorf("include %q, exclude %q: got %s, want %s", tt.include, tt.exclude, got, want)
		}
	}
	// What lies where a container was expected counts: no value slips through.
	s, _ := newSelector([]string{"/a/b"}, nil)
	x, _ := new(canonicaliser).append(nil, []byte(`{"a":5}`), s)
	y, _ := new(canonicaliser).append(nil, []byte(`{"a":6}`), s)
	if bytes.Equal(x, y) {
		t.Errorf("got %s for both, want them to differ", x)
	}
	for _, bad := range []string{"a", "/a~2", "/~", "a/b"} {
		if _, err := newSelector([]string{bad}, nil); err == nil {
			t.Errorf("pointer %q is accepted", bad)
		}
	}
	if _, err := newSelector(nil, []string{""}); err == nil {
		t.Error("excluding everything is accepted")
	}
}

func TestFingerprints(t *testing.T) {
	t.Parallel()
	const parts = "multipart/form-data"
	part := func(name, content string) string {
		return "Content-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + content
	}
	multi := func(boundary string, parts ...string) string {
		return "--" + boundary + "\r\n" + strings.Join(parts, "\r\n--"+boundary+"\r\n") + "\r\n--" + boundary + "--\r\n"
	}
	digest := func(f Fingerprint, contentType, body string, h http.Header) [32]byte {
		p, err := newFingerprinter(Policy{Fingerprint: f}.WithDefaults().Fingerprint)
		if err != nil {
			t.Fatal(err)
		}
		if contentType == parts { // of the boundary that the body has
			first, _, _ := strings.Cut(body, "\r\n")
			contentType += "; boundary=" + strings.TrimPrefix(first, "--")
		}
		r := &http.Request{Method: "POST", URL: &url.URL{Path: "/"}, Header: http.Header{"Content-Type": {contentType}}}
		maps.Copy(r.Header, h)
		return p.of(r, []byte(body), &workspace{})
	}
	const js, form, text = "application/json", "application/x-www-form-urlencoded", "text/plain"
	for _, tt := range []struct {
		name    string
		f       Fingerprint
		ct      string
		a, b    string
		ha, hb  http.Header
		isEqual bool
	}{
		{name: "json", ct: js, a: `{"a":1,"b":2}`, b: `{"b":2,"a":1}`, isEqual: true},
		{name: "json suffix", ct: "application/merge-patch+json;v=1", a: `{"a":1,"b":2}`, b: `{"b":2,"a":1}`, isEqual: true},
		{name: "text", ct: text, a: `{"a":1}`, b: `{"a": 1}`},
		{name: "text as json", f: Fingerprint{Body: BodyJSON}, ct: text, a: `{"a":1}`, b: `{"a": 1}`, isEqual: true},
		{name: "json as raw", f: Fingerprint{Body: BodyRaw}, ct: js, a: `{"a":1}`, b: `{"a": 1}`},
		{name: "not compared", f: Fingerprint{Body: BodyNone}, ct: js, a: `{"a":1}`, b: `{"a":2}`, isEqual: true},
		{name: "bad json", ct: js, a: `{"a":1`, b: `{"a": 1`},
		{name: "bad json, same", ct: js, a: `{"a":1`, b: `{"a":1`, isEqual: true},
		{name: "duplicate members", ct: js, a: `{"a":1,"a":2}`, b: `{"a":2}`},
		{name: "form", ct: form, a: "a=1+2&b=%7e", b: "%61=1%202&b=~", isEqual: true},
		{name: "form order", ct: form, a: "a=1&b=2", b: "b=2&a=1"},
		{name: "form repeated", ct: form, a: "a=1&a=2", b: "a=2&a=1"},
		{name: "form boundary", ct: form, a: "a=1%26b=2", b: "a=1&b=2"},
		{name: "form equals", ct: form, a: "a%3D1", b: "a=1"},
		{name: "form no value", ct: form, a: "a", b: "a="},
		{name: "form malformed", ct: form, a: "a=%zz", b: "a=%ZZ"},
		{name: "form empty", ct: form, a: "", b: "&"},
		{name: "form field excluded", f: Fingerprint{Exclude: []string{"/at"}}, ct: form, a: "a=1&at=2", b: "a=1&%61t=3", isEqual: true},
		{name: "form field included", f: Fingerprint{Include: []string{"/a"}}, ct: form, a: "a=1&b=2", b: "a=1", isEqual: true},
		{name: "form field counts", f: Fingerprint{Include: []string{"/a"}}, ct: form, a: "a=1", b: "a=2"},
		{name: "parts", ct: parts, a: multi("X", part("a", "1")), b: multi("X", part("a", "2"))},
		{name: "parts, boundary", ct: parts, a: multi("X", part("a", "1")), b: multi("YY", part("a", "1")), isEqual: true},
		{name: "parts, name", ct: parts, a: multi("X", part("a", "1")), b: multi("X", part("b", "1"))},
		{name: "parts, file name", ct: parts, a: multi("X", part("a", "1")), b: multi("X", part(`a"; filename="f`, "1"))},
		{name: "parts, order", ct: parts, a: multi("X", part("a", "1"), part("b", "2")), b: multi("X", part("b", "2"), part("a", "1"))},
		{name: "parts, one or two", ct: parts, a: multi("X", part("a", "1"), part("b", "2")), b: multi("X", part("a", "1"))},
		{name: "parts excluded", f: Fingerprint{Exclude: []string{"/b"}}, ct: parts, a: multi("X", part("a", "1"), part("b", "2")), b: multi("X", part("a", "1")), isEqual: true},
		{name: "parts cut off", ct: parts, a: "--X\r\n" + part("a", "1") + "\r\n", b: "--X\r\n" + part("a", "1") + "\r\n--X--\r\n"},
		{name: "parts, no last boundary", ct: parts, a: "--X\r\n" + part("a", "1") + "\r\n--X", b: "--X\r\n" + part("a", "1") + "\r\n--X\r\n"},
		{name: "parts cut off in a header", ct: parts, a: "--X\r\nContent-Type: a/a", b: "--X\r\nContent-Type: a/b"},
		{name: "no parts", ct: parts + "; boundary=X", a: "amount=1", b: "amount=2"},
		{name: "no parts, same", ct: parts + "; boundary=X", a: "amount=1", b: "amount=1", isEqual: true},
		{name: "parts without the last line end", ct: parts, a: multi("X", part("a", "1")), b: strings.TrimSpace(multi("X", part("a", "1"))), isEqual: true},
		{name: "parts, epilogue", ct: parts, a: multi("X", part("a", "1")), b: multi("X", part("a", "1")) + "end", isEqual: true},
		{name: "protobuf", ct: "application/x-protobuf", a: "\x08\x01", b: "\x08\x02"},
		{
			name: "header counts", f: Fingerprint{Headers: []string{"x-foo"}}, ct: js, a: "1", b: "1",
			ha: http.Header{"X-Foo": {"1"}}, hb: http.Header{"X-Foo": {"2"}},
		},
		{
			name: "header split", f: Fingerprint{Headers: []string{"x-foo", "x-bar"}}, ct: js, a: "1", b: "1",
			ha: http.Header{"X-Foo": {"1", "2"}}, hb: http.Header{"X-Foo": {"1"}, "X-Bar": {"2"}},
		},
	} {
		a, b := digest(tt.f, tt.ct, tt.a, tt.ha), digest(tt.f, tt.ct, tt.b, tt.hb)
		if (a == b) != tt.isEqual {
			t.Errorf("%s: %q and %q: equal %t, want %t", tt.name, tt.a, tt.b, a == b, tt.isEqual)
		}
	}
	// A canonical form never equals a raw one: the second is sent as what the first becomes.
	form1, _ := canonical(`{"b":1.0,"a":2}`)
	for _, raw := range []string{form1, "j" + form1, string(bodyJSON) + form1} {
		if digest(Fingerprint{}, js, `{"b":1.0,"a":2}`, nil) == digest(Fingerprint{Body: BodyRaw}, js, raw, nil) {
			t.Errorf("the raw body %q has the fingerprint of a canonical form", raw)
		}
	}
}

func FuzzDecodeHeaders(f *testing.F) {
	s := stored{
		header:  []field{{"Content-Type", []string{"a/b"}}, {"X-Foo", []string{"", "1"}}},
		trailer: []field{{"X-Sum", []string{"42"}}},
	}
	f.Add(s.append(nil))
	f.Add((&stored{}).append(nil))
	f.Add([]byte{metaVersion, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeStored(nil, b)
		if err != nil {
			return
		}
		again, err := decodeStored(nil, got.append(nil))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(got) {
			t.Errorf("%x got %v, encoded again %v, %v", b, got, again, err)
		}
	})
}

func TestStoredHeaders(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 70_000)
	s := stored{
		header:  []field{{"A", []string{"1", "2", "1"}}, {"B", []string{""}}, {"C", []string{long}}},
		trailer: []field{{"T", []string{"x"}}},
	}
	b := s.append(nil)
	got, err := decodeStored(nil, b)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(s) {
		t.Errorf("got %v, %v, want what was encoded", got, err)
	}
	for n := range b[:60] {
		if _, err := decodeStored(nil, b[:n]); err == nil {
			t.Errorf("the first %d bytes decode", n)
		}
	}
	if _, err := decodeStored(nil, append(b, 0)); err == nil {
		t.Error("a byte too many decodes")
	}
	b[0]++
	if _, err := decodeStored(nil, b); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("another version got %v", err)
	}
}

func BenchmarkCanonicalJSON(b *testing.B) {
	var items []string
	for i := range 16 {
		items = append(items, fmt.Sprintf(
			`{"sku":"SKU-%05d","quantity":%d,"price":%d.%02d,"name":"A thing with a name","tags":["a","b"]}`,
			i, i+1, i*100+99, i))
	}
	sorted := `{"amount":123456,"currency":"eur","items":[` + strings.Join(items, ",") + `],"zip":"10115"}`
	ordered, _ := canonical(sorted)
	for name, doc := range map[string]string{"as-written": sorted, "in-order": ordered} {
		text := []byte(doc)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			out := make([]byte, 0, 2*len(text))
			var c canonicaliser
			for b.Loop() {
				if _, ok := c.append(out, text, nil); !ok {
					b.Fatal("refused")
				}
			}
		})
	}
}
