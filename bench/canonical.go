package main

import (
	"context"
	"fmt"
	"slices"

	cyberphone "github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gowebpki/jcs"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// canonicalRate is what the canonical form should be made at, in MB/s on one core.
const canonicalRate = 150

// A canonicalForm makes the canonical form of a JSON text, valid until the next.
type canonicalForm struct {
	name string
	of   func(text []byte) ([]byte, error)
}

// ourForm is what the middleware compares bodies by.
func ourForm() canonicalForm {
	var j refrainhttp.CanonicalJSON
	var b []byte
	return canonicalForm{"Refrain", func(text []byte) ([]byte, error) {
		var ok bool
		if b, ok = j.Append(b[:0], text); !ok {
			return nil, fmt.Errorf("%.20q has no canonical form", text)
		}
		return b, nil
	}}
}

// peerForms are the libraries for RFC 8785. Their numbers are 64-bit floats: two large amounts may become one.
func peerForms() []canonicalForm {
	var v jsontext.Value
	return []canonicalForm{
		{"go-json-experiment", func(text []byte) ([]byte, error) {
			v = append(v[:0], text...)
			return v, v.Canonicalize()
		}},
		{"gowebpki/jcs", jcs.Transform},
		{"cyberphone", cyberphone.Transform},
	}
}

// canonical compares how fast the canonical form of typical bodies is made.
func (b *bench) canonical(context.Context) ([]result, error) {
	texts := payments()
	ours := ourForm()
	var results []result
	for _, peer := range peerForms() {
		if err := agree(texts, ours, peer); err != nil {
			return nil, err
		}
		what := fmt.Sprintf("canonical JSON of bodies of %d bytes, on one core", mean(texts))
		got, err := duel(what, b.plan.rounds, b.transforms(ours, texts), b.transforms(peer, texts))
		if err != nil {
			return nil, err
		}
		r := atLeast(0, what, " MB/s", got, peer.name)
		r.target, r.met = fmt.Sprintf("≥ %d MB/s", canonicalRate), got.a >= canonicalRate
		results = append(results, r)
	}
	slices.SortFunc(results, func(a, b result) int { return int(1000 * (a.ratio - b.ratio)) }) // the fastest peer first
	return results, nil
}

// agree checks that two forms say the same about which of the texts are the same, so that both have done their work.
func agree(texts [][]byte, forms ...canonicalForm) error {
	for _, f := range forms {
		want, err := f.of(texts[0])
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		want = slices.Clone(want)
		for i, text := range texts {
			got, err := f.of(text)
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			if same := i < spellings; string(got) == string(want) != same {
				return fmt.Errorf("%s: texts 1 and %d: the same: %t, want %t", f.name, i+1, !same, same)
			}
		}
	}
	return nil
}

// transforms returns the side that makes one form after the other. It counts the time that this process works, whatever
// others do meanwhile, the garbage collector's included.
func (b *bench) transforms(f canonicalForm, texts [][]byte) side {
	return side{f.name, func() (float64, error) {
		until := during(b.plan.turn() / 4)
		start, bytes := cpuTime(), 0
		for until() {
			for _, text := range texts {
				if _, err := f.of(text); err != nil {
					return 0, fmt.Errorf("%s: %w", f.name, err)
				}
				bytes += len(text)
			}
		}
		return float64(bytes) / 1e6 / (cpuTime() - start).Seconds(), nil
	}}
}

func mean(texts [][]byte) int {
	all := 0
	for _, text := range texts {
		all += len(text)
	}
	return all / len(texts)
}
