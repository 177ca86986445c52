package refrainhttp

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"testing"
)

// A key in a body is found wherever it is, whatever of the body counts; and what counts is the same as without it.
func FuzzKeyPlaces(f *testing.F) {
	randomly(f, func(t *testing.T, rng *rand.Rand) {
		v := randomValue(rng, 4)
		places := append(placesIn(v, nil), []string{"nowhere"})
		choose := func() []string { return places[rng.IntN(len(places))] }
		var only fields
		if rng.IntN(2) == 0 {
			only = fields{include: [][]string{choose()}, exclude: [][]string{choose(), choose()}}
		}
		at := choose()
		k := mustKeyReader(t, Key{From: []string{"body:" + pointerTo(at), "body:" + pointerTo(choose())}})
		with, err := newFingerprinter(Policy{Fingerprint: only.policy()}.WithDefaults().Fingerprint)
		if err != nil {
			t.Fatal(err)
		}
		without, _ := newFingerprinter(Policy{Fingerprint: only.policy()}.WithDefaults().Fingerprint)
		if err := with.readWith(k.pointers()); err != nil {
			t.Fatal(err)
		}
		text, work := write(rng, v), &workspace{}
		place := k.sources[0].pointer
		_ = work.read(text, place.tree)
		found, _ := work.json.wanted(place.node)
		// Of what is no key, not all may count.
		if want := canonicalAt(t, rng, v, at); string(found) != want && (want == "" || want[0] != '{' && want[0] != '[') {
			t.Errorf("%+v: %q of %s is %q, want %q", only, at, text, found, want)
		}
		if len(found) > 0 && !place.mayBeIn(text) {
			t.Errorf("%q of %s is there and may not be", at, text)
		}
		r := &http.Request{Method: "POST", URL: &url.URL{Path: "/"}, Header: http.Header{"Content-Type": {mediaJSON}}}
		if with.of(r, text, work) != without.of(r, text, &workspace{}) {
			t.Errorf("%+v: the fingerprint of %s is another one with a key at %q", only, text, at)
		}
	})
}

// canonicalAt returns the canonical form of what a value has at a place, "" if there is nothing.
func canonicalAt(t *testing.T, rng *rand.Rand, v any, at []string) (form string) {
	replace(v, at, func(was any) any {
		b, ok := new(canonicaliser).append(nil, write(rng, was), nil)
		if !ok {
			t.Fatalf("%v cannot be written", was)
		}
		form = string(b)
		return was
	})
	return form
}

// FuzzCookies: the values of a cookie are those that net/http finds.
func FuzzCookies(f *testing.F) {
	for _, line := range []string{
		`s=a`, `s="a"`, `s=""`, `s="`, `s`, `s=`, ` s =a; s= b`, `t=s=a;s=b\`, `s=a,b;S=c; s=ä`, "s=a\t;\ts=b", `s="a;b"`, `=a;s="a""`,
	} {
		f.Add(line, `s=z`)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		r := &http.Request{Header: http.Header{"Cookie": {a, b}}}
		var want []string
		for _, c := range r.CookiesNamed("s") {
			switch {
			case c.Quoted:
				want = append(want, `"`+c.Value+`"`)
			case c.Value != "":
				want = append(want, c.Value)
			}
		}
		if got := cookies(nil, r, "s"); !slices.Equal(got, want) {
			t.Errorf("%q and %q: got %q, want %q", a, b, got, want)
		}
	})
}

// FuzzOneValue: the value of a name in a query is the one that net/url finds.
func FuzzOneValue(f *testing.F) {
	for _, query := range []string{"k=v", "k=%20+", "%6b=v", "k", "&&=&k=", "k=a&k=b", "a;b&k=v", "a=%zz&k=v", "%zz=a", "k=a=b"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, malformed := url.ParseQuery(query)
		got, err := oneValue(query, "k")
		want := values["k"]
		if ok := malformed == nil && len(want) == 1; ok != (err == nil) || ok && got != want[0] {
			t.Errorf("%q: got %q and %v, want %q and %v", query, got, err, want, malformed)
		}
	})
}
