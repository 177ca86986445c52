package refrainhttp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// What a JSON text means is modelled as nil, bool, string, numeral, []any or []pair.

// A numeral is a number: digits without zeros at either end, times a power of ten. Zero has no digits.
type numeral struct {
	negative bool
	digits   string
	exponent int64
}

// A pair is a member of an object. The names of an object's differ, and their order means nothing.
type pair struct {
	name  string
	value any
}

// randomValue returns a value of at most that depth. The outermost is a container.
func randomValue(rng *rand.Rand, depth int) any {
	if rng.IntN(2) == 0 {
		return randomList(rng, depth)
	}
	return randomPairs(rng, depth)
}

func randomNode(rng *rand.Rand, depth int) any {
	switch kind := rng.IntN(10); {
	case kind < 3:
		return randomNumeral(rng)
	case kind < 5:
		return randomText(rng)
	case kind == 5:
		return rng.IntN(2) == 0
	case kind == 6:
		return nil
	case depth <= 0:
		return []any{}
	}
	return randomValue(rng, depth-1)
}

func randomList(rng *rand.Rand, depth int) []any {
	list := []any{}
	for range rng.IntN(5) {
		list = append(list, randomNode(rng, depth-1))
	}
	return list
}

func randomPairs(rng *rand.Rand, depth int) []pair {
	pairs := []pair{}
	n := rng.IntN(7)
	if rng.IntN(10) == 0 {
		n = 25 // more than are sorted by insertion
	}
	for range n {
		pairs = append(pairs, pair{freshName(rng, pairs), randomNode(rng, depth-1)})
	}
	return pairs
}

// freshName returns a name that no member has.
func freshName(rng *rand.Rand, pairs []pair) string {
	name := randomText(rng)
	for slices.ContainsFunc(pairs, func(p pair) bool { return p.name == name }) {
		name += "x"
	}
	return name
}

var letters = []rune("aaabZ0\"\\/\n\t\r\b\f <&\x00\x01\x1f\x7f\u00e9e\u0301\u20ac\u2028\ufeff\ufffd\uffff\U0001f600\U0010ffff")

func randomText(rng *rand.Rand) string {
	var b strings.Builder
	for range rng.IntN(12) {
		b.WriteRune(letters[rng.IntN(len(letters))])
	}
	return b.String()
}

func randomNumeral(rng *rand.Rand) numeral {
	n := numeral{negative: rng.IntN(3) == 0}
	switch rng.IntN(6) {
	case 0:
		return numeral{}
	case 1: // beyond the exact range of floats
		n.digits = strconv.FormatInt(1<<53+rng.Int64N(5)-2, 10)
	case 2:
		for range 1 + rng.IntN(40) {
			n.digits += strconv.Itoa(1 + rng.IntN(9))
		}
	default:
		n.digits = strconv.Itoa(1 + rng.IntN(2000))
	}
	whole := strings.TrimRight(n.digits, "0")
	n.exponent = int64(len(n.digits) - len(whole))
	n.digits = whole
	switch rng.IntN(6) {
	case 0:
		n.exponent += rng.Int64N(1000) - 500 // beyond the range of floats
	case 1:
		n.exponent += rng.Int64N(1e17) - 5e16
	case 2, 3:
		n.exponent -= rng.Int64N(4)
	}
	return n
}

// write writes a value in one of the many ways there are.
func write(rng *rand.Rand, v any) []byte {
	w := writer{rng: rng}
	w.space()
	w.value(v)
	w.space()
	return w.b.Bytes()
}

type writer struct {
	rng *rand.Rand
	b   bytes.Buffer
}

func (w *writer) pick(of ...string) { w.b.WriteString(of[w.rng.IntN(len(of))]) }

func (w *writer) space() { w.pick("", "", "", " ", "\n\t", "\r\n ") }

func (w *writer) value(v any) {
	switch v := v.(type) {
	case numeral:
		w.numeral(v)
	case string:
		w.text(v)
	case []any:
		w.b.WriteByte('[')
		for i, e := range v {
			w.comma(i)
			w.value(e)
		}
		w.space()
		w.b.WriteByte(']')
	case []pair:
		v = slices.Clone(v)
		w.rng.Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
		w.members(v)
	case nil:
		w.b.WriteString("null")
	default:
		fmt.Fprint(&w.b, v)
	}
}

// members writes an object with its members in that order.
func (w *writer) members(pairs []pair) {
	w.b.WriteByte('{')
	for i, p := range pairs {
		w.comma(i)
		w.text(p.name)
		w.space()
		w.b.WriteByte(':')
		w.space()
		w.value(p.value)
	}
	w.space()
	w.b.WriteByte('}')
}

func (w *writer) comma(i int) {
	w.space()
	if i > 0 {
		w.b.WriteByte(',')
	}
	w.space()
}

var shortEscapes = map[rune]string{
	'"': `\"`, '\\': `\\`, '/': `\/`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`,
}

func (w *writer) text(s string) {
	w.b.WriteByte('"')
	for _, r := range s {
		short, hasShort := shortEscapes[r]
		mustEscape := r < 0x20 || r == '"' || r == '\\'
		switch {
		case hasShort && w.rng.IntN(2) == 0:
			w.b.WriteString(short)
		case mustEscape || w.rng.IntN(3) == 0:
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&w.b, []string{`\u%04x`, `\u%04X`}[w.rng.IntN(2)], u)
			}
		default:
			w.b.WriteRune(r)
		}
	}
	w.b.WriteByte('"')
}

// numeral writes a number with its point anywhere, and the exponent that this takes.
func (w *writer) numeral(n numeral) {
	if n.digits == "" {
		w.pick("0", "-0", "0.0", "0e5", "-0.00E-7", "0E+999999999999999999999")
		return
	}
	if n.negative {
		w.b.WriteByte('-')
	}
	point := w.rng.IntN(len(n.digits)+8) - 3 // digits before it
	if plain := int64(len(n.digits)) + n.exponent; plain > -20 && plain < 60 && w.rng.IntN(2) == 0 {
		point = int(plain)
	}
	whole, fraction := n.digits, ""
	switch {
	case point <= 0:
		whole, fraction = "0", strings.Repeat("0", -point)+n.digits
	case point < len(n.digits):
		whole, fraction = n.digits[:point], n.digits[point:]
	default:
		whole += strings.Repeat("0", point-len(n.digits))
	}
	if w.rng.IntN(3) == 0 {
		fraction += strings.Repeat("0", 1+w.rng.IntN(3))
	}
	w.b.WriteString(whole)
	if fraction != "" {
		w.b.WriteString("." + fraction)
	}
	w.exponent(n.exponent + int64(len(n.digits)-point))
}

func (w *writer) exponent(e int64) {
	if e == 0 && w.rng.IntN(3) > 0 {
		return
	}
	w.pick("e", "E")
	switch {
	case e < 0:
		w.b.WriteByte('-')
		e = -e
	case e == 0:
		w.pick("", "+", "-")
	default:
		w.pick("", "+")
	}
	w.pick("", "", "0", "000")
	w.b.WriteString(strconv.FormatInt(e, 10))
}

// mutate returns the value with one thing changed in what it means.
func mutate(rng *rand.Rand, v any) any {
	for {
		if changed := change(rng, v); !same(rng, changed, v) {
			return changed
		}
	}
}

// same reports whether two values mean the same, as the oracle sees it.
func same(rng *rand.Rand, a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, okX := meaning(write(rng, a))
	y, okY := meaning(write(rng, b))
	return okX && okY && x == y
}

func change(rng *rand.Rand, v any) any {
	switch v := v.(type) {
	case nil:
		return []any{false, numeral{}, "", []any{}, []pair{}, "null"}[rng.IntN(6)]
	case bool:
		return []any{!v, nil, strconv.FormatBool(v)}[rng.IntN(3)]
	case numeral:
		return changeNumeral(rng, v)
	case string:
		return changeText(rng, v)
	case []any:
		return changeList(rng, v)
	case []pair:
		return changePairs(rng, v)
	}
	panic("no value")
}

func changeNumeral(rng *rand.Rand, n numeral) any {
	if n.digits == "" {
		return []any{numeral{digits: "1"}, "0", false, nil}[rng.IntN(4)]
	}
	switch rng.IntN(5) {
	case 0:
		n.negative = !n.negative
	case 1:
		n.exponent++
	case 2:
		n.digits = "1" + n.digits
	case 3: // by one in the last place
		last := len(n.digits) - 1
		if n.digits[last] < '9' {
			n.digits = n.digits[:last] + string(n.digits[last]+1)
		} else {
			n.digits = n.digits[:last] + "8"
		}
	default:
		return n.digits
	}
	return n
}

func changeText(rng *rand.Rand, s string) any {
	runes := []rune(s)
	at := rng.IntN(len(runes) + 1)
	switch extra := letters[rng.IntN(len(letters))]; {
	case rng.IntN(8) == 0:
		return []any{s}
	case rng.IntN(2) == 0 || at == len(runes):
		runes = slices.Insert(runes, at, extra)
	case rng.IntN(2) == 0:
		runes = slices.Delete(runes, at, at+1)
	default:
		runes[at] = extra
	}
	return string(runes)
}

func changeList(rng *rand.Rand, list []any) any {
	list = slices.Clone(list)
	if len(list) == 0 {
		return []any{[]pair{}, []any{nil}, []any{[]any{}}, nil}[rng.IntN(4)]
	}
	at, other := rng.IntN(len(list)), rng.IntN(len(list))
	switch rng.IntN(8) {
	case 0:
		return slices.Delete(list, at, at+1)
	case 1:
		return slices.Insert(list, at, randomNode(rng, 1))
	case 2:
		list[at], list[other] = list[other], list[at]
	case 3:
		return []any{list}
	default:
		list[at] = mutate(rng, list[at])
	}
	return list
}

func changePairs(rng *rand.Rand, pairs []pair) any {
	pairs = slices.Clone(pairs)
	if len(pairs) == 0 {
		return []any{[]any{}, []pair{{"", nil}}, nil}[rng.IntN(3)]
	}
	at, other := rng.IntN(len(pairs)), rng.IntN(len(pairs))
	switch rng.IntN(8) {
	case 0:
		return slices.Delete(pairs, at, at+1)
	case 1: // null is not absent
		return append(pairs, pair{freshName(rng, pairs), nil})
	case 2:
		pairs[at].name = freshName(rng, pairs)
	case 3:
		pairs[at].value, pairs[other].value = pairs[other].value, pairs[at].value
	default:
		pairs[at].value = mutate(rng, pairs[at].value)
	}
	return pairs
}
