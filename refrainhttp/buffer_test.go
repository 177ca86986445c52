package refrainhttp

import (
	"fmt"
	"strings"
	"testing"
)

// TestTextsStay makes more texts than one piece of memory holds, from bytes that change: each stays as it was.
func TestTextsStay(t *testing.T) {
	t.Parallel()
	for _, work := range []*workspace{nil, {}} {
		var texts, want []string
		var b []byte
		for i := range 2000 {
			b = fmt.Appendf(b[:0], "%d%s", i, strings.Repeat("x", i%100*(i%100)))
			texts, want = append(texts, work.string(b)), append(want, string(b))
		}
		for i := range texts {
			if texts[i] != want[i] {
				t.Fatalf("got %q, want %q", texts[i], want[i])
			}
		}
	}
}
