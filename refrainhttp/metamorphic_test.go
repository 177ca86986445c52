package refrainhttp

import (
	"bytes"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain"
)

// entropy is a source of random numbers that a fuzzer steers: its bytes decide as long as there are any.
type entropy struct {
	steered []byte
	rest    *rand.PCG
}

func newEntropy(b []byte) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write(b)
	return rand.New(&entropy{b, rand.NewPCG(h.Sum64(), 0)})
}

// Uint64 implements rand.Source.
func (e *entropy) Uint64() uint64 {
	n := e.rest.Uint64()
	if len(e.steered) > 0 {
		n = uint64(e.steered[0])<<56 | n>>8
		e.steered = e.steered[1:]
	}
	return n
}

// randomly checks a property for many random cases, and runs a fuzzer on it when asked to.
func randomly(f *testing.F, property func(t *testing.T, rng *rand.Rand)) {
	f.Helper()
	first := rand.Uint64()
	f.Logf("seed %d", first)
	rng := rand.New(rand.NewPCG(first, 0))
	for range 500 {
		b := make([]byte, rng.IntN(200))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { property(t, newEntropy(b)) })
}

// digests returns the fingerprints that requests get under a policy.
func digests(t *testing.T, f Fingerprint) func(contentType string, body []byte) refrain.Fingerprint {
	t.Helper()
	p, err := newFingerprinter(Policy{Fingerprint: f}.WithDefaults().Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	work := &workspace{}
	return func(contentType string, body []byte) refrain.Fingerprint {
		r := &http.Request{Method: "POST", URL: &url.URL{Path: "/"}, Header: http.Header{"Content-Type": {contentType}}}
		return p.of(r, body, work)
	}
}

// Two spellings of a value have one fingerprint, and whatever means something else has another.
func FuzzSpellings(f *testing.F) {
	randomly(f, func(t *testing.T, rng *rand.Rand) {
		v := randomNode(rng, 5)
		a, b, other := write(rng, v), write(rng, v), write(rng, mutate(rng, v))
		agree(t, a, b)
		agree(t, a, other)
		of := digests(t, Fingerprint{})
		if of(mediaJSON, a) != of(mediaJSON, b) {
			t.Errorf("%s and %s mean the same, and have two fingerprints", a, b)
		}
		if of(mediaJSON, a) == of(mediaJSON, other) {
			t.Errorf("%s and %s differ, and have one fingerprint", a, other)
		}
	})
}

// A document in which a member is there twice is equal to nothing but its own bytes, wherever the member is and however its
// name is written.
func FuzzDuplicateMembers(f *testing.F) {
	randomly(f, func(t *testing.T, rng *rand.Rand) {
		v := append(randomPairs(rng, 3), pair{"\u00e9", randomPairs(rng, 2)})
		at := rng.IntN(len(v))
		twin := pair{v[at].name, v[at].value}
		if rng.IntN(2) == 0 {
			twin.value = mutate(rng, twin.value)
		}
		double := slices.Insert(slices.Clone(v), rng.IntN(len(v)+1), twin)
		without, replaced := slices.Delete(slices.Clone(v), at, at+1), slices.Clone(v)
		replaced[at] = twin
		place := []string{}
		wrap := func(inside []pair) any { return inside }
		switch rng.IntN(3) {
		case 0:
			place, wrap = []string{"meta"}, func(inside []pair) any { return []pair{{"amount", numeral{digits: "1"}}, {"meta", inside}} }
		case 1:
			place, wrap = []string{"list", "1"}, func(inside []pair) any { return []pair{{"list", []any{nil, inside}}} }
		}
		root := wrap(double)
		policy := Fingerprint{}
		if len(place) > 0 && rng.IntN(2) == 0 {
			policy.Exclude = []string{pointerTo(place)}
		}
		of := digests(t, policy)
		text := write(rng, root)
		for _, other := range [][]byte{
			write(rng, root), write(rng, wrap(v)), write(rng, wrap(without)), write(rng, wrap(replaced)), append(slices.Clone(text), ' '),
		} {
			if (of(mediaJSON, text) == of(mediaJSON, other)) != bytes.Equal(text, other) {
				t.Errorf("exclude %q: %s and %s have one fingerprint", policy.Exclude, text, other)
			}
		}
		if again := slices.Clone(text); of(mediaJSON, text) != of(mediaJSON, again) {
			t.Errorf("%s is not equal to itself", text)
		}
	})
}

// What is excluded never matters, and what is included always does. The oracle prunes the values that the texts are
// written from.
func FuzzFields(f *testing.F) {
	randomly(f, func(t *testing.T, rng *rand.Rand) {
		v := randomValue(rng, 4)
		places := append(placesIn(v, nil), []string{"nowhere"})
		choose := func() (some [][]string) {
			for range rng.IntN(3) {
				some = append(some, places[rng.IntN(len(places))])
			}
			return some
		}
		only := fields{include: choose(), exclude: choose()}
		of := digests(t, only.policy())
		text := write(rng, v)
		if again := write(rng, v); of(mediaJSON, text) != of(mediaJSON, again) {
			t.Errorf("%+v: %s and %s mean the same, and have two fingerprints", only, text, again)
		}
		w := mutate(rng, v)
		if len(only.exclude) > 0 && rng.IntN(2) == 0 { // else it is seldom hit
			at := only.exclude[0]
			w = replace(v, at, func(was any) any { return mutate(rng, was) })
			if other := write(rng, w); of(mediaJSON, text) != of(mediaJSON, other) {
				t.Errorf("%+v: %s and %s differ in what is excluded, and have two fingerprints", only, text, other)
			}
		}
		x, _ := only.keep(v, nil)
		y, _ := only.keep(w, nil)
		other := write(rng, w)
		if got, want := of(mediaJSON, text) == of(mediaJSON, other), same(rng, x, y); got != want {
			t.Errorf("%+v: %s and %s have one fingerprint: %t, want %t", only, text, other, got, want)
		}
	})
}

// fields are what counts of a value.
type fields struct{ include, exclude [][]string }

func (s *fields) policy() (f Fingerprint) {
	for _, at := range s.include {
		f.Include = append(f.Include, pointerTo(at))
	}
	for _, at := range s.exclude {
		f.Exclude = append(f.Exclude, pointerTo(at))
	}
	return f
}

func pointerTo(place []string) string {
	var b strings.Builder
	for _, name := range place {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	return b.String()
}

// keep returns what counts of the value at a place, and whether anything does: it is not excluded, and is included, inside of
// something that is, or on the way to it.
func (s *fields) keep(v any, at []string) (any, bool) {
	isAt := func(p []string) bool { return slices.Equal(p, at) }
	isOver := func(p []string) bool { return len(p) <= len(at) && slices.Equal(p, at[:len(p)]) }
	isUnder := func(p []string) bool { return len(p) > len(at) && slices.Equal(p[:len(at)], at) }
	counts := len(s.include) == 0 || slices.ContainsFunc(s.include, isOver) || slices.ContainsFunc(s.include, isUnder)
	if len(at) > 0 && (!counts || slices.ContainsFunc(s.exclude, isAt)) {
		return nil, false
	}
	switch v := v.(type) {
	case []any:
		kept := []any{}
		for i, e := range v {
			if e, ok := s.keep(e, append(slices.Clip(at), strconv.Itoa(i))); ok {
				kept = append(kept, e)
			}
		}
		return kept, true
	case []pair:
		kept := []pair{}
		for _, p := range v {
			if e, ok := s.keep(p.value, append(slices.Clip(at), p.name)); ok {
				kept = append(kept, pair{p.name, e})
			}
		}
		return kept, true
	}
	return v, true
}

// placesIn returns the places of all values inside of one.
func placesIn(v any, at []string) (all [][]string) {
	add := func(name string, inner any) {
		place := append(slices.Clip(at), name)
		all = append(append(all, place), placesIn(inner, place)...)
	}
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			add(strconv.Itoa(i), e)
		}
	case []pair:
		for _, p := range v {
			add(p.name, p.value)
		}
	}
	return all
}

// replace returns the value with another one at a place, if there is one.
func replace(v any, at []string, by func(any) any) any {
	if len(at) == 0 {
		return by(v)
	}
	switch v := v.(type) {
	case []any:
		if i, err := strconv.Atoi(at[0]); err == nil && i < len(v) && strconv.Itoa(i) == at[0] {
			v = slices.Clone(v)
			v[i] = replace(v[i], at[1:], by)
			return v
		}
	case []pair:
		if i := slices.IndexFunc(v, func(p pair) bool { return p.name == at[0] }); i >= 0 {
			v = slices.Clone(v)
			v[i].value = replace(v[i].value, at[1:], by)
			return v
		}
	}
	return v
}
