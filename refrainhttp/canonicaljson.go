package refrainhttp

// A CanonicalJSON writes JSON in the form in which the middleware compares bodies, for those who make the fingerprint of a
// [refrain.Operation] themselves. The zero CanonicalJSON is ready to be used, again and again, by one goroutine at a time.
type CanonicalJSON struct{ c canonicaliser }

// Append appends the canonical form of a JSON text (RFC 8259) to b. Two texts have the same form exactly when they mean the
// same, whatever their white space, the order of their members, and the spelling of their strings and numbers. Unlike RFC 8785
// it takes numbers for the decimals that they are, of any size and precision.
//
// It reports false for what has no single meaning and must be compared byte by byte: anything that is not JSON, not UTF-8, or
// nested deeper than 128; duplicate members; lone surrogates; exponents beyond 18 digits.
func (j *CanonicalJSON) Append(b, text []byte) ([]byte, bool) { return j.c.append(b, text, nil) }
