package pebblestore

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/refrain-dev/refrain"
)

// A gate holds up the syncs of the write-ahead log.
type gate struct {
	shut    atomic.Bool
	arrived chan struct{}
	open    chan struct{}
}

func (g *gate) String() string { return "gate" }

func (g *gate) MaybeError(op errorfs.Op) error {
	if isSync(op) && strings.HasSuffix(op.Path, ".log") && g.shut.CompareAndSwap(true, false) {
		close(g.arrived)
		<-g.open
	}
	return nil
}

// gatedStore returns a store and a function that holds up the next sync and says when it is reached.
func gatedStore(t *testing.T) (*Store, func() *gate) {
	g := &gate{}
	s := openStore(t, "db", Config{FS: errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(g.MaybeError))})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s, func() *gate {
		g.arrived, g.open = make(chan struct{}), make(chan struct{})
		g.shut.Store(true)
		return g
	}
}

// TestNothingIsShownEarly looks at an operation while the sync of its change is held up: everyone must see it as it was, and
// be answered without waiting.
func TestNothingIsShownEarly(t *testing.T) {
	t.Parallel()
	type step func(s *Store, c refrain.Claim) error
	claim := func(s *Store, c refrain.Claim) error {
		_, err := s.Claim(context.Background(), c)
		return err
	}
	rerun := func(s *Store, c refrain.Claim) error {
		fillRandom(c.Token[:])
		c.Rerun = true
		return claim(s, c)
	}
	end := func(e refrain.Ending, o *refrain.Outcome) step {
		return func(s *Store, c refrain.Claim) error {
			_, err := s.Settle(context.Background(), refrain.Settlement{
				ID: c.ID, Token: c.Token, Ending: e, Outcome: o, Retention: time.Hour,
			})
			return err
		}
	}
	finish, release, undecided := end(refrain.Finished, &benchOutcome), end(refrain.Released, nil), end(refrain.Undecided, nil)
	for _, c := range []struct {
		name          string
		before        []step
		change        step
		during, after refrain.State
	}{
		{"claim", nil, claim, refrain.StateAbsent, refrain.StateRunning},
		{"finish", []step{claim}, finish, refrain.StateRunning, refrain.StateDone},
		{"release", []step{claim}, release, refrain.StateRunning, refrain.StateAbsent},
		{"undecided", []step{claim}, undecided, refrain.StateRunning, refrain.StateUnknown},
		{"late finish", []step{claim, undecided}, finish, refrain.StateUnknown, refrain.StateDone},
		{"late release", []step{claim, undecided}, release, refrain.StateUnknown, refrain.StateAbsent},
		{"rerun", []step{claim, undecided}, rerun, refrain.StateUnknown, refrain.StateRunning},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, holdUp := gatedStore(t)
			req := newClaim()
			for _, before := range c.before {
				if err := before(s, req); err != nil {
					t.Fatal(err)
				}
			}
			g := holdUp()
			done := make(chan error, 1)
			go func() { done <- c.change(s, req) }()
			<-g.arrived
			if wantState(t, s, req.ID, c.during) { // else a duplicate may run, and wait for the sync itself
				wantDuplicate(t, s, req, c.during)
			}
			close(g.open)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			wantState(t, s, req.ID, c.after)
		})
	}
}

func wantState(t *testing.T, s *Store, id refrain.ID, want refrain.State) bool {
	t.Helper()
	r, err := s.Get(t.Context(), id)
	if err != nil || r.State != want {
		t.Errorf("Get: got %v, error %v, want %v", r.State, err, want)
		return false
	}
	return true
}

// wantDuplicate checks what a duplicate is told while a change is held up. One of an absent operation must wait, and can
// leave.
func wantDuplicate(t *testing.T, s *Store, c refrain.Claim, state refrain.State) {
	t.Helper()
	fillRandom(c.Token[:])
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if state == refrain.StateAbsent {
		cancel()
	}
	d, err := s.Claim(ctx, c)
	if state == refrain.StateAbsent {
		if !errors.Is(err, context.Canceled) || !errors.Is(err, refrain.ErrUnavailable) {
			t.Errorf("Claim: got verdict %v, error %v, want to leave with %v", d.Verdict, err, context.Canceled)
		}
		return
	}
	want := map[refrain.State]refrain.Verdict{refrain.StateRunning: refrain.InFlight, refrain.StateUnknown: refrain.Unknown}
	if err != nil || d.Verdict != want[state] {
		t.Errorf("Claim: got verdict %v, error %v, want %v", d.Verdict, err, want[state])
	}
}

// TestLeaving checks what becomes of a request whose caller leaves while it is being committed: it has happened, and the
// caller who asks again recognises itself.
func TestLeaving(t *testing.T) {
	t.Parallel()
	s, holdUp := gatedStore(t)
	g := holdUp()
	ctx, leave := context.WithCancel(t.Context())
	c := newClaim()
	done := make(chan error, 1)
	go func() {
		_, err := s.Claim(ctx, c)
		done <- err
	}()
	<-g.arrived
	leave()
	if err := <-done; !errors.Is(err, context.Canceled) || !errors.Is(err, refrain.ErrUnavailable) {
		t.Errorf("Claim: got error %v, want an ErrUnavailable for %v", err, context.Canceled)
	}
	close(g.open)
	if d, err := s.Claim(t.Context(), c); err != nil || d.Verdict != refrain.Run {
		t.Errorf("the claim repeated: got verdict %v, error %v, want %v", d.Verdict, err, refrain.Run)
	}
}

// TestGivingBackWaits gives back a claim that is not durable yet, as a guard does whose time is up while the disk stands still.
func TestGivingBackWaits(t *testing.T) {
	t.Parallel()
	s, hold := gatedStore(t)
	g := hold()
	c := newClaim()
	giveBack := refrain.Settlement{ID: c.ID, Token: c.Token, Ending: refrain.Released}
	gone, leave := context.WithCancel(t.Context())
	claimed := make(chan error)
	go func() {
		_, err := s.Claim(gone, c)
		claimed <- err
	}()
	<-g.arrived
	leave()
	_, released := s.Settle(gone, giveBack)
	for call, err := range map[string]error{"Claim": <-claimed, "Settle": released} {
		if !errors.Is(err, refrain.ErrUnavailable) {
			t.Errorf("%s: got error %v, want %v", call, err, refrain.ErrUnavailable)
		}
	}
	close(g.open)
	// The first goes on without its caller, and may be quicker.
	if _, err := s.Settle(t.Context(), giveBack); err != nil && !errors.Is(err, refrain.ErrStale) {
		t.Error(err)
	}
	wantState(t, s, c.ID, refrain.StateAbsent)
}

// TestAnswersInOrder has a second settlement of a claim decided while the sync of the first is held up. It writes nothing, but
// may be answered only when everyone can see what the first has made durable.
func TestAnswersInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, holdUp := gatedStore(t)
		c := newClaim()
		if _, err := s.Claim(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		g := holdUp()
		var answered atomic.Int64
		var all sync.WaitGroup
		settle := func() {
			if _, err := s.Settle(context.Background(), finishOf(c)); err != nil {
				t.Error(err)
			}
			wantState(t, s, c.ID, refrain.StateDone)
			answered.Add(1)
		}
		all.Go(settle)
		<-g.arrived
		all.Go(settle)
		synctest.Wait() // until the second is decided
		if answered.Load() != 0 {
			t.Error("Settle: got an answer before the sync")
		}
		close(g.open)
		all.Wait()
	})
}

// TestRenewalOfWhatEnds renews a claim while its end is being committed: the answer must wait for it.
func TestRenewalOfWhatEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, holdUp := gatedStore(t)
		c := newClaim()
		if _, err := s.Claim(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		g := holdUp()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := s.Settle(context.Background(), finishOf(c)); err != nil {
				t.Error(err)
			}
		})
		<-g.arrived
		var renewed atomic.Bool
		all.Go(func() {
			err := s.Renew(context.Background(), refrain.Renewal{ID: c.ID, Token: c.Token, Lease: time.Hour})
			if !errors.Is(err, refrain.ErrStale) {
				t.Errorf("Renew: got error %v, want %v", err, refrain.ErrStale)
			}
			renewed.Store(true)
		})
		synctest.Wait()
		if renewed.Load() {
			t.Error("Renew: got an answer before the claim's end was durable")
		}
		close(g.open)
		all.Wait()
	})
}
