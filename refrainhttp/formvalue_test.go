package refrainhttp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const mediaForm = "application/x-www-form-urlencoded"

// A formField is a pair of a form as it is meant. One without a value differs from one whose value is empty.
type formField struct {
	name, value string
	hasValue    bool
}

func randomForm(rng *rand.Rand) []formField {
	form := []formField{}
	for range 1 + rng.IntN(5) {
		f := formField{name: "n" + randomText(rng), hasValue: rng.IntN(5) > 0}
		if f.hasValue {
			f.value = randomText(rng)
		}
		form = append(form, f)
	}
	return form
}

// writeForm writes a form in one of the many ways there are.
func writeForm(rng *rand.Rand, form []formField) []byte {
	var b bytes.Buffer
	put := func(s string) {
		for _, c := range []byte(s) {
			switch {
			case c == ' ' && rng.IntN(2) == 0:
				b.WriteByte('+')
			case strings.IndexByte("%+&= ", c) >= 0, rng.IntN(3) == 0:
				fmt.Fprintf(&b, []string{"%%%02x", "%%%02X"}[rng.IntN(2)], c)
			default:
				b.WriteByte(c)
			}
		}
	}
	for i, f := range form {
		if i > 0 {
			b.WriteByte('&')
		}
		put(f.name)
		if f.hasValue {
			b.WriteByte('=')
			put(f.value)
		}
	}
	return b.Bytes()
}

// readForm reads a form with net/url. It reports false for one that is not well-formed.
func readForm(body []byte) ([]formField, bool) {
	form := []formField{}
	if len(body) == 0 {
		return form, true
	}
	for part := range strings.SplitSeq(string(body), "&") {
		var f formField
		name, value, hasValue := strings.Cut(part, "=")
		var errs [2]error
		f.name, errs[0] = url.QueryUnescape(name)
		f.value, errs[1] = url.QueryUnescape(value)
		if f.hasValue = hasValue; errs[0] != nil || errs[1] != nil {
			return nil, false
		}
		form = append(form, f)
	}
	return form, true
}

// mutateForm returns the form with one thing changed in what it means.
func mutateForm(rng *rand.Rand, form []formField) []formField {
	for {
		changed := slices.Clone(form)
		at, other := rng.IntN(len(form)), rng.IntN(len(form))
		switch rng.IntN(6) {
		case 0:
			changed = slices.Delete(changed, at, at+1)
		case 1:
			changed = slices.Insert(changed, at, formField{name: "n" + randomText(rng)})
		case 2:
			changed[at], changed[other] = changed[other], changed[at]
		case 3:
			changed[at].hasValue, changed[at].value = !changed[at].hasValue, ""
		case 4:
			changed[at].name += "x"
		default:
			changed[at].hasValue, changed[at].value = true, changed[at].value+string(letters[rng.IntN(len(letters))])
		}
		if !slices.Equal(changed, form) && len(changed) > 0 {
			return changed
		}
	}
}

// However the bytes of a form are escaped, it is the same, and whatever else differs is not.
func FuzzFormSpellings(f *testing.F) {
	randomly(f, func(t *testing.T, rng *rand.Rand) {
		form := randomForm(rng)
		of := digests(t, Fingerprint{})
		a, b, other := writeForm(rng, form), writeForm(rng, form), writeForm(rng, mutateForm(rng, form))
		if of(mediaForm, a) != of(mediaForm, b) {
			t.Errorf("%q and %q mean the same, and have two fingerprints", a, b)
		}
		if of(mediaForm, a) == of(mediaForm, other) {
			t.Errorf("%q and %q differ, and have one fingerprint", a, other)
		}
		// An excluded field never matters, and every other does.
		name := form[rng.IntN(len(form))].name
		isIt := func(f formField) bool { return f.name == name }
		of = digests(t, Fingerprint{Exclude: []string{pointerTo([]string{name})}})
		if without := slices.DeleteFunc(slices.Clone(form), isIt); len(without) > 0 {
			if c := writeForm(rng, without); of(mediaForm, a) != of(mediaForm, c) {
				t.Errorf("%q and %q differ in %q only, and have two fingerprints", a, c, name)
			}
			c := writeForm(rng, slices.Insert(mutateForm(rng, without), 0, formField{name, "1", true}))
			changed, _ := readForm(c)
			if equal := slices.Equal(slices.DeleteFunc(changed, isIt), without); (of(mediaForm, a) == of(mediaForm, c)) != equal {
				t.Errorf("%q and %q without %q are equal: %t, and the fingerprints are not so", a, c, name, equal)
			}
		}
	})
}

// Any two bodies have one fingerprint exactly when net/url reads the same from them or, for what it does not read, when they
// have the same bytes.
func FuzzForm(f *testing.F) {
	for _, p := range [][2]string{
		{"a=1+2&b=%7e", "%61=1%202&b=~"},
		{"a", "a="},
		{"", "&"},
		{"a=%zz", "a=%ZZ"},
		{"a%3D1", "a=1"},
		{"a=1%26b=2", "a=1&b=2"},
		{"a=1;b=2", "a=1&b=2"},
		{"%", "%25"},
		{"a=\xff", "a=%ff"},
		{"a==", "a=%3d"},
		{"&&", "&"},
		{"\x00\x00\x00\x01a", "a"},
	} {
		f.Add([]byte(p[0]), []byte(p[1]))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		x, okX := readForm(a)
		y, okY := readForm(b)
		want := bytes.Equal(a, b) || okX && okY && slices.Equal(x, y)
		of := digests(t, Fingerprint{})
		if got := of(mediaForm, a) == of(mediaForm, b); got != want {
			t.Errorf("%q and %q have one fingerprint: %t, want %t", a, b, got, want)
		}
	})
}

// A formPart is a part of a multipart body: its header's lines, and its bytes.
type formPart struct {
	header []string
	body   string
}

func randomParts(rng *rand.Rand) []formPart {
	var parts []formPart
	for i := range 1 + rng.IntN(4) {
		p := formPart{header: []string{`Content-Disposition: form-data; name="` + strconv.Itoa(i) + `"`}, body: randomText(rng)}
		if rng.IntN(3) == 0 {
			p.header[0] += `; filename="a/b.txt"`
		}
		for _, line := range []string{"Content-Type: text/plain", "Content-Transfer-Encoding: binary", "X-Part: 1"} {
			if rng.IntN(3) == 0 {
				p.header = append(p.header, line)
			}
		}
		parts = append(parts, p)
	}
	return parts
}

// writeParts returns a body with a fresh boundary, and its media type.
func writeParts(rng *rand.Rand, parts []formPart) (contentType string, body []byte) {
	boundary := fmt.Sprintf("--%x", rng.Uint64())
	var b bytes.Buffer
	for _, p := range parts {
		p.header = slices.Clone(p.header)
		rng.Shuffle(len(p.header), func(i, j int) { p.header[i], p.header[j] = p.header[j], p.header[i] })
		fmt.Fprintf(&b, "--%s\r\n%s\r\n\r\n%s\r\n", boundary, strings.Join(p.header, "\r\n"), p.body)
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return `multipart/form-data; boundary="` + boundary + `"`, b.Bytes()
}

func mutateParts(rng *rand.Rand, parts []formPart) []formPart {
	for {
		changed := slices.Clone(parts)
		at := rng.IntN(len(parts))
		p := &changed[at]
		p.header = slices.Clone(p.header)
		line := rng.IntN(len(p.header))
		switch rng.IntN(7) {
		case 0:
			changed = slices.Delete(changed, at, at+1)
		case 1:
			changed = append(changed, randomParts(rng)[0])
		case 2:
			slices.Reverse(changed)
		case 3:
			p.body += string(letters[rng.IntN(len(letters))])
		case 4: // any line of a header counts
			p.header[line] += "x"
		case 5:
			p.header = append(p.header, "X-Other: 1")
		default:
			p.header[line] = strings.Replace(p.header[line], "a/b", "b/b", 1)
		}
		if !slices.EqualFunc(changed, parts, func(a, b formPart) bool { return a.body == b.body && slices.Equal(a.header, b.header) }) {
			return changed
		}
	}
}

// The boundary of a multipart body does not matter, and whatever is between the boundaries does.
func FuzzPartSpellings(f *testing.F) {
	randomly(f, func(t *testing.T, rng *rand.Rand) {
		parts := randomParts(rng)
		typeA, a := writeParts(rng, parts)
		typeB, b := writeParts(rng, parts)
		typeC, c := writeParts(rng, mutateParts(rng, parts))
		of := digests(t, Fingerprint{})
		if of(typeA, a) != of(typeB, b) {
			t.Errorf("%q and %q mean the same, and have two fingerprints", a, b)
		}
		if of(typeA, a) == of(typeC, c) {
			t.Errorf("%q and %q differ, and have one fingerprint", a, c)
		}
		// An excluded part never matters.
		of = digests(t, Fingerprint{Exclude: []string{"/0"}})
		more := append([]formPart{{[]string{`Content-Disposition: form-data; name="0"`}, randomText(rng)}}, parts[1:]...)
		typeC, c = writeParts(rng, more)
		if of(typeA, a) != of(typeC, c) {
			t.Errorf("%q and %q differ in part 0 only, and have two fingerprints", a, c)
		}
	})
}
