package refrainhttp

import (
	"net/http"
	"strings"
	"testing"
)

func mustKeyReader(t testing.TB, k Key) keyReader {
	t.Helper()
	r, err := newKeyReader(Policy{Key: k}.WithDefaults().Key)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestKeys(t *testing.T) {
	t.Parallel()
	const v4, v7 = "8e03978e-40d5-43dd-bc93-6894a57f9324", "019A2B3C-4d5e-7f60-8a1b-2c3d4e5f6071"
	for _, tt := range []struct {
		format Format
		line   string
		want   string // "" means refused
	}{
		{Lenient, "abc", "abc"},
		{Lenient, `"abc"`, "abc"},
		{Lenient, `  "abc"  `, "abc"},
		{Lenient, `"abc";v=1`, "abc"},
		{Lenient, `"abc"; v=1;w;x="y;\"z";u=?1;t=tok/en:x;s=:aGk=:;r=-1.5;q=@1700000000;p=%"f%c3%bc"`, "abc"},
		{Lenient, `"a\"b\\c"`, `a"b\c`},
		{Lenient, `"a, b"`, "a, b"},
		{Lenient, "a b", "a b"},
		{Lenient, "abc;v=1", "abc;v=1"}, // bare keys are opaque
		{Lenient, "1700000000123456789_aZ-_09", "1700000000123456789_aZ-_09"},
		{Lenient, v4, v4},
		{Lenient, strings.Repeat("k", 255), strings.Repeat("k", 255)},
		{Lenient, `"` + strings.Repeat("k", 255) + `"`, strings.Repeat("k", 255)},
		{Lenient, strings.Repeat("k", 256), ""},
		{Lenient, `"` + strings.Repeat("k", 256) + `"`, ""},
		{Lenient, "", ""},
		{Lenient, "   ", ""},
		{Lenient, `""`, ""},
		{Lenient, `"`, ""},
		{Lenient, `"abc`, ""},
		{Lenient, `abc"`, ""},
		{Lenient, `a\c`, ""},
		{Lenient, `a"c`, ""},
		{Lenient, "a, b", ""}, // what a proxy makes of two lines
		{Lenient, `"a", "b"`, ""},
		{Lenient, `"a\x"`, ""},
		{Lenient, `"a\`, ""},
		{Lenient, `"é"`, ""},
		{Lenient, "é", ""},
		{Lenient, "a\tb", ""},
		{Lenient, "\"a\tb\"", ""},
		{Lenient, "a\x7fb", ""},
		{Lenient, "\xff", ""},
		{Lenient, `"abc" def`, ""},
		{Lenient, `"abc";`, ""},
		{Lenient, `"abc";V=1`, ""},
		{Lenient, `"abc";v=`, ""},
		{Lenient, `"abc";v="`, ""},
		{Lenient, `"abc";v=1.2345`, ""},
		{Lenient, `"abc";v=1234567890123456`, ""},
		{Lenient, `"abc";v=?2`, ""},
		{Lenient, `"abc";v=:a`, ""},
		{Lenient, `"abc";v=@1.5`, ""},
		{Lenient, `"abc";v=%"%C3"`, ""},
		{Lenient, `"abc";v=%x`, ""},
		{Lenient, `"abc";v=(`, ""},
		{SFString, `"abc"`, "abc"},
		{SFString, `"abc";v=1`, "abc"},
		{SFString, "abc", ""},
		{SFString, "8", ""},
		{SFString, "a1b2", ""},
		{SFString, v4, ""},
		{SFString, "a" + v4[1:], ""},
		{SFString, `"a`, ""},
		{SFString, ":YWJj:", ""},
		{UUID, v4, v4},
		{UUID, `"` + strings.ToUpper(v4) + `"`, v4},
		{UUID, v4[:35], ""},
		{UUID, v4 + "0", ""},
		{UUID, strings.Replace(v4, "-", "0", 1), ""},
		{UUID, strings.Replace(v4, "8", "g", 1), ""},
		{UUID, "abc", ""},
		{UUID7, v7, strings.ToLower(v7)},
		{UUID7, v4, ""},
		{UUID7, strings.Replace(v7, "8a1b", "ca1b", 1), ""},
	} {
		k := mustKeyReader(t, Key{Format: tt.format})
		got, err := k.read(&http.Request{Header: http.Header{"Idempotency-Key": {tt.line}}}, nil, nil)
		switch {
		case tt.want == "" && err == nil: // also if it is taken for no key at all
			t.Errorf("%s: %q got key %q, want an error", tt.format, tt.line, got.value)
		case tt.want != "" && (err != nil || got.value != tt.want || got.raw != tt.line):
			t.Errorf("%s: %q got %q, %v, want %q", tt.format, tt.line, got.value, err, tt.want)
		}
	}
}

func TestKeyLines(t *testing.T) {
	t.Parallel()
	k := mustKeyReader(t, Key{From: []string{"header:x-request-key", "header:Idempotency-Key"}})
	if got, err := k.read(&http.Request{Header: http.Header{}}, nil, nil); err != nil || !got.none() {
		t.Errorf("without a line got %+v, %v, want no key", got, err)
	}
	if got, err := k.read(&http.Request{Header: http.Header{"Idempotency-Key": {"b"}, "X-Request-Key": {"a"}}}, nil, nil); err != nil || got.value != "a" {
		t.Errorf("two headers got %q, %v, want the first in the list", got.value, err)
	}
	for _, lines := range [][]string{{"a", "b"}, {"a", "a"}, {"a", ""}} {
		if _, err := k.read(&http.Request{Header: http.Header{"Idempotency-Key": lines}}, nil, nil); err == nil || !strings.Contains(err.Error(), "exactly one") {
			t.Errorf("%q got %v, want an error that asks for one", lines, err)
		}
	}
}

// FuzzKey checks the grammar by its properties: what is accepted is a printable key within the limit, that the quoted
// form of the key names too; and strict parsing accepts nothing that lenient parsing does not.
func FuzzKey(f *testing.F) {
	for _, s := range []string{
		"abc", `"abc"`, `"a\"b";v=1;w="x"`, `"a", "b"`, "a,b", "\x80", `"`, `"";a=?0`, `"k";a=:aa==:`, `"k";d=@1`, `"k";s=%"%c3%a9"`,
	} {
		f.Add(s)
	}
	lenient, strict := mustKeyReader(f, Key{}), mustKeyReader(f, Key{Format: SFString})
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	f.Fuzz(func(t *testing.T, line string) {
		got, err := lenient.parse(line, false)
		if s, errStrict := strict.parse(line, false); errStrict == nil && (err != nil || s != got) {
			t.Errorf("%q: strict got %q, lenient got %q, %v", line, s, got, err)
		}
		if err != nil {
			return
		}
		if got == "" || len(got) > 255 || span(got, func(c byte) bool { return 0x20 <= c && c <= 0x7e }) != len(got) {
			t.Errorf("%q got key %q", line, got)
		}
		quoted := `"` + quote.Replace(got) + `"`
		for _, k := range []keyReader{lenient, strict} {
			if again, err := k.parse(quoted, false); err != nil || again != got {
				t.Errorf("%q got %q, %v, want %q", quoted, again, err, got)
			}
		}
	})
}

func TestKeysAreReadWithoutAllocation(t *testing.T) {
	k := mustKeyReader(t, Key{})
	for _, line := range []string{"8e03978e-40d5-43dd-bc93-6894a57f9324", `"8e03978e-40d5-43dd-bc93-6894a57f9324"`} {
		h := &http.Request{Header: http.Header{"Idempotency-Key": {line}}}
		if n := testing.AllocsPerRun(100, func() { _, _ = k.read(h, nil, nil) }); n != 0 {
			t.Errorf("%s: got %v allocations, want 0", line, n)
		}
	}
}
