package principal

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Parts made of what could be taken for a delimiter or for the length of a part.
var tricks = []string{"", "a", "b", "ab", ":", "/", ",", "\x00", "\x01", "\x01a", "\x02ab", "\x80\x01", strings.Repeat("a", 128), "é", "\xff"}

// TestPrincipalsNeverMeet: whatever is in the parts, other parts are another principal.
func TestPrincipalsNeverMeet(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	seen := map[string][]string{}
	for range 20_000 {
		parts := make([]string, 1+random.IntN(4))
		for i := range parts {
			for range random.IntN(3) {
				parts[i] += tricks[random.IntN(len(tricks))]
			}
		}
		who := Of(parts[0], parts[1:]...)
		if before, ok := seen[who]; ok && !slices.Equal(before, parts) {
			t.Fatalf("%q and %q are one principal", before, parts)
		}
		seen[who] = parts
	}
}

func FuzzPrincipalsNeverMeet(f *testing.F) {
	f.Add("jwt", "a", "b", "jwt", "a\x01b", "")
	f.Add("", "\x00", "", "", "", "\x00")
	f.Fuzz(func(t *testing.T, a, b, c, x, y, z string) {
		same := a == x && b == y && c == z
		if (Of(a, b, c) == Of(x, y, z)) != same {
			t.Errorf("%q and %q: got the same principal: %t", []string{a, b, c}, []string{x, y, z}, !same)
		}
	})
}
