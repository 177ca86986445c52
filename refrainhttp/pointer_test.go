package refrainhttp

import (
	"strings"
	"testing"
)

func TestPointers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("l", 65)
	doc := `{"` + long + `":3,"a":{"b":[10,{"c":"x\ny"}],"":"empty"},"n":1.50,"z":null,"f":false,"m~n":1,"a/b":2,"s":"b","big":9007199254740993}`
	for _, tt := range []struct{ at, want string }{ // want is canonical; empty: there is nothing
		{"/a/b/0", "1e1"},
		{"/a/b/1/c", `"x\u000ay"`},
		{"/a/b/2", ""},
		{"/a/b/00", ""},
		{"/a/b/-", ""},
		{"/a/b/c", ""},
		{"/a/", `"empty"`},
		{"/n", "15e-1"},
		{"/n/x", ""},
		{"/s/b", ""},
		{"/z", "null"},
		{"/f", "false"},
		{"/m~0n", "1"},
		{"/a~1b", "2"},
		{"/big", "9007199254740993"},
		{"/nothing", ""},
		{"/" + long, "3"}, // as long as that of /a, but for 64 bytes
		{"/" + long[1:], ""},
		{"/a/b", `[1e1,{"c":"x\u000ay"}]`},
	} {
		p, err := newPointer(tt.at)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := p.find([]byte(doc), &workspace{})
		if ok != (tt.want != "") || ok && string(got) != tt.want {
			t.Errorf("%s: got %q, %t, want %q", tt.at, got, ok, tt.want)
		}
	}
	p, _ := newPointer("/a")
	for _, doc := range []string{"", "null", "[]", "{}", "1", `{"a":1`, `{"a":1,"a":2}`, `"a"`} {
		if got, ok := p.find([]byte(doc), &workspace{}); ok {
			t.Errorf("%s has %q", doc, got)
		}
	}
}

func TestScalars(t *testing.T) {
	t.Parallel()
	for canonical, want := range map[string]string{
		`"a\"b"`: `a"b`, "12": "12", "15e-1": "1.5", "-15e-1": "-1.5", "1e1": "10",
		"-12e3": "-12000", "1e-3": "0.001", "12e-2": "0.12", "1e30": "1" + strings.Repeat("0", 30), "1e31": "1e31",
		"1e-999999999": "1e-999999999", "0": "0", "1e0": "1", `""`: "", "null": "-", "true": "-", "[1]": "-", "{}": "-", "": "-",
	} {
		got, ok := scalarText([]byte(canonical))
		if ok != (want != "-") || ok && got != want {
			t.Errorf("%s: got %q, %t, want %q", canonical, got, ok, want)
		}
	}
	for canonical, want := range map[string]bool{
		"null": false, "false": false, "0": false, `""`: false, "[]": false, "{}": false, "": false,
		"true": true, "1": true, `"x"`: true, "[0]": true, `{"a":null}`: true,
	} {
		if isThere([]byte(canonical)) != want {
			t.Errorf("%s: is there %t, want %t", canonical, !want, want)
		}
	}
}
