package pebblestore

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/refrain-dev/refrain"
)

// TestDamage changes one thing in the files of a closed store, 1,000 times: a bit, a sector or the length. The store must
// refuse to open, or say of an operation that nothing is known of it, or be right. It must never give other bytes, and never
// run again what it had recorded.
func TestDamage(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	files, facts := closedStore(t)
	var tally damageTally
	for i := range 1000 {
		damaged, what := damage(rng, files, func(string) bool { return true })
		tally.add(t, fmt.Sprintf("mutation %d: %s", i, what), damaged, facts)
	}
	// The same without the seal, as after a crash, for what Pebble itself must notice.
	delete(files, sealName)
	for i := range 300 {
		damaged, what := damage(rng, files, func(name string) bool { return strings.HasSuffix(name, tableSuffix) })
		tally.add(t, fmt.Sprintf("table mutation %d: %s", i, what), damaged, facts)
	}
	t.Logf("%+v", tally)
	if tally.Refused == 0 || tally.Unknown == 0 || tally.Right == 0 {
		t.Error("one of the answers never came: the test proves nothing")
	}
}

// closedStore returns the files of a store and what it knew.
func closedStore(t *testing.T) (map[string][]byte, []fact) {
	fs := vfs.NewMem()
	s := openStore(t, "db", Config{FS: fs, tune: func(o *pebble.Options) {
		smallPebble(o)
		o.MemTableSize = 256 << 10 // so that something is left in the log
	}})
	var facts []fact
	for i := range 600 {
		c := newClaim()
		d, err := s.Claim(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		f := fact{id: c.ID, fence: d.Record.Fence, state: refrain.StateRunning}
		if ending := refrain.Ending(i % 5); ending > 0 {
			e := refrain.Settlement{ID: c.ID, Token: c.Token, Ending: refrain.Finished, Retention: time.Hour}
			if ending == 1 {
				e.Ending = refrain.Undecided
			}
			e.Outcome = &refrain.Outcome{Status: 201, Body: bodyOf(c.Token)}
			r, err := s.Settle(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			f.state = r.State
		}
		facts = append(facts, f)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	names, err := fs.List("db")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := fs.Open("db/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if files[name], err = io.ReadAll(f); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return files, facts
}

// damage changes one of the files that there are something in.
func damage(rng *rand.Rand, files map[string][]byte, which func(name string) bool) (*vfs.MemFS, string) {
	var names []string
	for name, content := range files {
		if len(content) > 0 && which(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	name := names[rng.IntN(len(names))]
	content := slices.Clone(files[name])
	at := rng.IntN(len(content))
	what := fmt.Sprintf("%s of %d bytes ", name, len(content))
	switch rng.IntN(3) {
	case 0:
		content[at] ^= 1 << rng.IntN(8)
		what += fmt.Sprintf("has a bit flipped at %d", at)
	case 1:
		content = content[:at]
		what += fmt.Sprintf("is cut at %d", at)
	case 2:
		clear(content[at:min(at+512, len(content))])
		what += fmt.Sprintf("has zeros at %d", at)
	}
	fs := vfs.NewMem()
	if err := fs.MkdirAll("db", 0o700); err != nil {
		panic(err)
	}
	for other, old := range files {
		if other == name {
			old = content
		}
		f, err := fs.Create("db/"+other, vfs.WriteCategoryUnspecified)
		if err == nil {
			_, err = f.Write(slices.Clone(old))
		}
		if err = errors.Join(err, f.Close()); err != nil {
			panic(err)
		}
	}
	return fs, what
}

// A damageTally counts what damaged stores answered.
type damageTally struct{ Refused, Unavailable, Unknown, Right int }

func (n *damageTally) add(t *testing.T, what string, fs *vfs.MemFS, facts []fact) {
	t.Helper()
	s, err := Open("db", Config{FS: fs, tune: func(o *pebble.Options) {
		smallPebble(o)
		o.DisableAutomaticCompactions = true // so that the damage stays where it is
	}})
	if err != nil {
		n.Refused++
		return
	}
	defer s.Close()
	for i := 0; i < len(facts); i += 7 {
		f := facts[i]
		c := newClaim()
		c.ID = f.id
		d, err := s.Claim(t.Context(), c)
		r := d.Record
		switch {
		case err != nil:
			n.Unavailable++
		case r.State == refrain.StateUnknown && r.Token == refrain.Token{}:
			n.Unknown++
		case d.Verdict == refrain.Run || r.Fence != f.fence || r.State != f.state || checkOutcome(r) != nil:
			t.Errorf("%s: got verdict %v with %v, fence %d and %+v, want %v, fence %d", what, d.Verdict, r.State, r.Fence,
				r.Outcome, f.state, f.fence)
		default:
			n.Right++
		}
	}
}
