package main

import "testing"

// TestFormsOfPayments sees that every library takes the spellings of a payment for one, and others for others.
func TestFormsOfPayments(t *testing.T) {
	t.Parallel()
	texts := payments()
	if n := mean(texts); n < 1900 || n > 2200 {
		t.Errorf("got bodies of %d bytes, want about 2 KB", n)
	}
	forms := append(peerForms(), ourForm())
	if err := agree(texts, forms...); err != nil {
		t.Error(err)
	}
	asWritten := canonicalForm{"as written", func(text []byte) ([]byte, error) { return text, nil }}
	if agree(texts, asWritten) == nil {
		t.Error("bytes as they are written pass for a canonical form")
	}
	constant := canonicalForm{"constant", func([]byte) ([]byte, error) { return nil, nil }}
	if agree(texts, constant) == nil {
		t.Error("one form for all passes for a canonical form")
	}
}
