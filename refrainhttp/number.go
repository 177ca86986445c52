package refrainhttp

import "strconv"

// maxExponentDigits bounds exponents so that they can be added exactly in 64 bits.
const maxExponentDigits = 18

// number reads a number and writes it as an exact decimal: digits without zeros at either end, and the power of ten to
// multiply them with. So 1.0, 1e0 and 10e-1 are 1, and 100 is 1e2. Minus zero is zero.
func (c *canonicaliser) number() bool {
	text := c.in[c.at:]
	n := 0
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		n++
	}
	whole := digits(text[n:])
	if whole == 0 || whole > 1 && text[n] == '0' {
		return false
	}
	if plain(text, n+whole) {
		c.out = append(c.out, text[:n+whole]...)
		c.at += n + whole
		return true
	}
	d := decimal{negative: negative, whole: text[n : n+whole]}
	n += whole
	if n < len(text) && text[n] == '.' {
		k := digits(text[n+1:])
		if k == 0 {
			return false
		}
		d.fraction = text[n+1 : n+1+k]
		n += 1 + k
	}
	k, ok := d.readExponent(text[n:])
	if !ok {
		return false
	}
	c.at += n + k
	c.out, ok = d.append(c.out)
	return ok
}

// plain reports whether an integer of n bytes is in canonical form already and nothing more of it follows.
func plain(text []byte, n int) bool {
	if text[n-1] == '0' && (n > 1) {
		return false
	}
	return n == len(text) || text[n] != '.' && text[n]|0x20 != 'e'
}

func digits(s []byte) int {
	for i, b := range s {
		if !isDigit(b) {
			return i
		}
	}
	return len(s)
}

// A decimal is the parts of a number as they are written.
type decimal struct {
	negative        bool
	whole, fraction []byte
	exponent        []byte // without leading zeros
	shrinks         bool   // the exponent is negative
}

// readExponent reads the exponent at the start of text, if there is one, and returns its length.
func (d *decimal) readExponent(text []byte) (n int, ok bool) {
	if len(text) == 0 || text[0]|0x20 != 'e' {
		return 0, true
	}
	n = 1
	if n < len(text) && (text[n] == '+' || text[n] == '-') {
		d.shrinks = text[n] == '-'
		n++
	}
	k := digits(text[n:])
	d.exponent = trimLeftZeros(text[n : n+k])
	return n + k, k > 0
}

func (d *decimal) append(b []byte) ([]byte, bool) {
	start := len(b)
	if d.negative {
		b = append(b, '-')
	}
	first := len(b)
	b = append(b, trimLeftZeros(d.whole)...)
	if len(b) == first {
		b = append(b, trimLeftZeros(d.fraction)...)
	} else {
		b = append(b, d.fraction...)
	}
	exponent := -int64(len(d.fraction))
	for len(b) > first && b[len(b)-1] == '0' {
		b = b[:len(b)-1]
		exponent++
	}
	if len(b) == first {
		return append(b[:start], '0'), true
	}
	if len(d.exponent) > maxExponentDigits {
		return b, false
	}
	exponent += d.power()
	if exponent != 0 {
		b = strconv.AppendInt(append(b, 'e'), exponent, 10)
	}
	return b, true
}

func (d *decimal) power() int64 {
	var p int64
	for _, b := range d.exponent {
		p = p*10 + int64(b-'0')
	}
	if d.shrinks {
		return -p
	}
	return p
}

func trimLeftZeros(s []byte) []byte {
	for len(s) > 0 && s[0] == '0' {
		s = s[1:]
	}
	return s
}
