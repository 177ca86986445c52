package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/refrain-dev/refrain"
)

// A setClock is a machine's clock that a test sets.
type setClock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *setClock { return &setClock{now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *setClock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *setClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestGenerationOutlivesItsRecords(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 100_000 {
		now := time.Unix(rng.Int64N(1<<33), rng.Int64N(1e9))
		lifetime := time.Duration(rng.Int64N(1 << rng.IntN(63)))
		g := generationOf(now, lifetime)
		if g.overAt(now) || g.overAt(now.Add(lifetime)) {
			t.Fatalf("%+v of %v at %v is over while its record lives", g, lifetime, now)
		}
		if late := now.Add(6*lifetime + 4*time.Second); lifetime < 1<<60 && !g.overAt(late) {
			t.Fatalf("%+v of %v at %v is not over at %v", g, lifetime, now, late)
		}
		if got := decodeGeneration(g.append(nil)); got != g {
			t.Fatalf("got %+v, want %+v", got, g)
		}
	}
	if eternal.overAt(time.Unix(1<<40, 0)) {
		t.Error("the unknown are forgotten")
	}
}

// TestExpiry follows one operation through its two stages, and checks that the sweeper has left nothing behind.
func TestExpiry(t *testing.T) {
	t.Parallel()
	clock := newClock()
	fs := vfs.NewMem()
	open := func() *Store { return openStore(t, "db", Config{FS: fs, machine: clock.read}) }
	s := open()
	done, unknown := newClaim(), newClaim()
	settle(t, s, done, refrain.Finished)
	settle(t, s, unknown, refrain.Undecided)
	for _, c := range []struct {
		move time.Duration
		want refrain.State
		kept map[byte]int // keys of heads and outcomes, those of the unknown operation included
	}{
		{0, refrain.StateDone, map[byte]int{'h': 2, 'o': 2}},
		{24*time.Hour - time.Second, refrain.StateDone, map[byte]int{'h': 2, 'o': 2}},
		{time.Second, refrain.StateExpired, nil},
		{3 * 24 * time.Hour, refrain.StateExpired, map[byte]int{'h': 2, 'o': 1}},
		{4*24*time.Hour - time.Second, refrain.StateExpired, map[byte]int{'h': 2, 'o': 1}},
		{time.Second, refrain.StateAbsent, nil},
		{24 * 24 * time.Hour, refrain.StateAbsent, map[byte]int{'h': 1, 'o': 1}},
	} {
		clock.move(c.move)
		wantState(t, s, done.ID, c.want)
		wantState(t, s, unknown.ID, refrain.StateUnknown)
		for prefix, want := range c.kept {
			eventually(t, fmt.Sprintf("%d keys of %c", want, prefix), func() bool { return countKeys(t, s, prefix) == want })
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open()
		wantState(t, s, done.ID, c.want)
	}
	if len(s.heads.list()) != 1 || len(s.outcomes.list()) != 1 {
		t.Errorf("got generations %v and %v, want those of the unknown only", s.heads.list(), s.outcomes.list())
	}
	settle(t, s, unknown, refrain.Finished)
	wantState(t, s, unknown.ID, refrain.StateDone)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestForgottenEarly forgets what was to be kept for a century, as the marks of sequences are, again and again: it is gone.
func TestForgottenEarly(t *testing.T) {
	t.Parallel()
	s := openStore(t, "db", Config{FS: vfs.NewMem()})
	defer s.Close()
	c := newClaim()
	for range 3 {
		if _, err := s.Claim(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		e := finishOf(c)
		e.Retention = 100 * 365 * 24 * time.Hour
		for _, e.Ending = range []refrain.Ending{refrain.Finished, refrain.Forgotten} {
			if _, err := s.Settle(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		wantState(t, s, c.ID, refrain.StateAbsent)
	}
	for _, prefix := range []byte{prefixRunning, prefixHead, prefixOutcome} {
		if n := countKeys(t, s, prefix); n != 0 {
			t.Errorf("got %d keys of %c, want none", n, prefix)
		}
	}
}

// settle claims, if need be, and ends the operation.
func settle(t *testing.T, s *Store, c refrain.Claim, ending refrain.Ending) {
	t.Helper()
	if _, err := s.Claim(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	e := finishOf(c)
	e.Ending = ending
	if _, err := s.Settle(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

func countKeys(t *testing.T, s *Store, prefix byte) (n int) {
	t.Helper()
	it, err := s.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for it.SeekGE([]byte{prefix}); it.Valid() && it.Key()[0] == prefix; it.Next() {
		n++
	}
	return n
}

// TestClockSetBack checks that no record is lost from sight and that nothing is claimed twice when the clock jumps back.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	clock := newClock()
	fs := vfs.NewMem()
	s := openStore(t, "db", Config{FS: fs, machine: clock.read})
	first, later := newClaim(), newClaim()
	settle(t, s, first, refrain.Finished)
	clock.move(-30 * 24 * time.Hour) // in the process: the store's clock stands still
	wantState(t, s, first.ID, refrain.StateDone)
	settle(t, s, later, refrain.Finished)
	r, err := s.Get(t.Context(), later.ID)
	if err != nil || r.Created.Before(clock.read().Add(29*24*time.Hour)) {
		t.Errorf("got a record of %v, error %v, want the store's clock not to go back", r.Created, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, "db", Config{FS: fs, machine: clock.read}) // in between
	defer s.Close()
	third := newClaim()
	settle(t, s, third, refrain.Finished)
	for _, c := range []refrain.Claim{first, later, third} {
		wantState(t, s, c.ID, refrain.StateDone)
		fillRandom(c.Token[:])
		if d, err := s.Claim(t.Context(), c); err != nil || d.Verdict != refrain.Replay {
			t.Errorf("Claim: got verdict %v, error %v, want %v", d.Verdict, err, refrain.Replay)
		}
	}
}

// TestSecondLife claims a key whose record is forgotten but not swept yet.
func TestSecondLife(t *testing.T) {
	t.Parallel()
	clock := newClock()
	fs := vfs.NewMem()
	s := openStore(t, "db", Config{FS: fs, machine: clock.read})
	c := newClaim()
	settle(t, s, c, refrain.Finished)
	before, err := s.Get(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	clock.move(8 * 24 * time.Hour)
	wantState(t, s, c.ID, refrain.StateAbsent)
	c = again(c)
	d, err := s.Claim(t.Context(), c)
	if err != nil || d.Verdict != refrain.Run || d.Record.Fence <= before.Fence {
		t.Errorf("got verdict %v with fence %d, error %v, want %v with a fence above %d",
			d.Verdict, d.Record.Fence, err, refrain.Run, before.Fence)
	}
	if n := countKeys(t, s, prefixHead); n != 0 {
		t.Errorf("got %d heads beside the running claim, want none", n)
	}
	if _, err := s.Settle(context.Background(), finishOf(c)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, "db", Config{FS: fs, machine: clock.read})
	defer s.Close()
	r, err := s.Get(t.Context(), c.ID)
	if err != nil || r.State != refrain.StateDone || r.Fence != d.Record.Fence {
		t.Errorf("got %v with fence %d, error %v, want the second life with fence %d", r.State, r.Fence, err, d.Record.Fence)
	}
}

// again returns the claim of another attempt.
func again(c refrain.Claim) refrain.Claim {
	fillRandom(c.Token[:])
	return c
}

// TestFencesGrow crosses the end of an epoch's numbers and loses the power right after it.
func TestFencesGrow(t *testing.T) {
	t.Parallel()
	fs := vfs.NewCrashableMem()
	s := openStore(t, "db", Config{FS: fs})
	s.committer.last |= 1<<32 - 3
	var last uint64
	check := func(s *Store) {
		t.Helper()
		d, err := s.Claim(t.Context(), newClaim())
		if err != nil || d.Record.Fence <= last {
			t.Fatalf("got fence %d, error %v, want more than %d", d.Record.Fence, err, last)
		}
		last = d.Record.Fence
	}
	for range 5 {
		check(s)
		after := openStore(t, "db", Config{FS: fs.CrashClone(vfs.CrashCloneCfg{})})
		before := last
		check(after)
		last = before
		if err := after.Close(); err != nil {
			t.Error(err)
		}
	}
	if last>>32 < 2 {
		t.Errorf("got fence %#x: no epoch ended, the test proves nothing", last)
	}
	if err := s.Close(); err != nil && !errors.Is(err, refrain.ErrClosed) {
		t.Error(err)
	}
}
