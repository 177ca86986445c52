package pebblestore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/refrain-dev/refrain"
)

// TestInjectedDiskFull has every write fail for want of room for a while.
func TestInjectedDiskFull(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	var full atomic.Bool
	fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpCreate, errorfs.OpReuseForWrite, errorfs.OpFileWrite, errorfs.OpRename:
			if full.Load() {
				return syscall.ENOSPC
			}
		}
		return nil
	}))
	s := openStore(t, "db", Config{FS: fs, tune: smallPebble, Logger: testLogger(t)})
	l := newLedger()
	claims := claimSome(t, s, 20)
	full.Store(true)
	settleInTime(t, s, claims[0], refrain.ErrUnavailable)
	if _, err := s.Claim(t.Context(), newClaim()); !errors.Is(err, refrain.ErrFull) || !errors.Is(s.Err(), refrain.ErrFull) {
		t.Errorf("on a full disk: got %v from Claim and %v from Err, want %v", err, s.Err(), refrain.ErrFull)
	}
	full.Store(false)
	for _, c := range claims {
		settleInTime(t, s, c, nil) // the first one recognises itself
	}
	eventually(t, "room", func() bool { return s.Err() == nil })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
	defer cancel()
	if err := l.workers(ctx, s, 4, 1); err != nil && ctx.Err() == nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}

	full.Store(true)
	if _, err := Open("db", Config{FS: fs, tune: smallPebble}); !errors.Is(err, refrain.ErrFull) {
		t.Errorf("Open on a full disk: got error %v, want %v", err, refrain.ErrFull)
	}
	full.Store(false)
	s = openStore(t, "db", Config{FS: fs, tune: smallPebble})
	defer s.Close()
	if err := checkFacts(s, l.told()); err != nil {
		t.Error(err)
	}
}

func claimSome(t *testing.T, s *Store, n int) (claims []refrain.Claim) {
	t.Helper()
	for range n {
		c := newClaim()
		if _, err := s.Claim(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		claims = append(claims, c)
	}
	return claims
}

// settleInTime finishes the claim within the time that a Guard gives a store, and wants the error.
func settleInTime(t *testing.T, s *Store, c refrain.Claim, want error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	if _, err := s.Settle(ctx, finishOf(c)); !errors.Is(err, want) {
		t.Errorf("Settle: got error %v, want %v", err, want)
	}
}

// TestRealDiskFull fills a small file system.
func TestRealDiskFull(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t)
	cfg := Config{MinFree: 12 << 20, Logger: testLogger(t), tune: func(o *pebble.Options) {
		smallPebble(o)
		o.MemTableSize = 1 << 20
	}}
	s := openStore(t, filepath.Join(dir, "db"), cfg)
	claims := claimSome(t, s, 300)
	settled := fillWithOutcomes(t, s)
	// Claims are refused now, but what runs can end.
	for _, c := range claims[:100] {
		settleInTime(t, s, c, nil)
	}
	settled = append(settled, claims[:100]...)

	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	left := claims[100:]
	for len(left) > 0 {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := s.Settle(ctx, finishLarge(left[0]))
		cancel()
		if err != nil {
			if !errors.Is(err, refrain.ErrUnavailable) {
				t.Errorf("Settle on a full disk: got error %v, want an ErrUnavailable", err)
			}
			break
		}
		settled, left = append(settled, left[0]), left[1:]
	}
	if len(left) == 0 {
		t.Fatal("the disk did not get full: the test proves nothing")
	}
	if err := s.Err(); !errors.Is(err, refrain.ErrFull) {
		t.Errorf("Err on a full disk: got %v, want %v", err, refrain.ErrFull)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	for _, c := range left {
		settleInTime(t, s, c, nil)
	}
	settled = append(settled, left...)
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}

	fill(t, filler)
	if _, err := Open(filepath.Join(dir, "db"), cfg); !errors.Is(err, refrain.ErrFull) {
		t.Errorf("Open on a full disk: got error %v, want %v", err, refrain.ErrFull)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, filepath.Join(dir, "db"), cfg)
	defer s.Close()
	for _, c := range settled {
		wantState(t, s, c.ID, refrain.StateDone)
	}
}

// smallDisk mounts a file system of 40 MiB in memory.
func smallDisk(t *testing.T) string {
	dir := t.TempDir()
	if err := syscall.Mount("refrain", dir, "tmpfs", 0, "size=40m"); err != nil {
		t.Skipf("SKIPPED, a full disk is not tested: mounting a small one needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillWithOutcomes runs operations until new claims are refused, and returns them.
func fillWithOutcomes(t *testing.T, s *Store) (settled []refrain.Claim) {
	t.Helper()
	for {
		s.measure() // on a busy machine tend may come too late, and what is under way then waits for room that nobody makes
		c := newClaim()
		_, err := s.Claim(t.Context(), c)
		if errors.Is(err, refrain.ErrFull) {
			return settled
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Settle(t.Context(), finishLarge(c)); err != nil {
			t.Fatal(err)
		}
		settled = append(settled, c)
	}
}

// finishLarge finishes with 64 KiB that do not compress.
func finishLarge(c refrain.Claim) refrain.Settlement {
	e := finishOf(c)
	e.Outcome = &refrain.Outcome{Body: make([]byte, 64<<10)}
	fillRandom(e.Outcome.Body)
	return e
}

// fill takes all the room that is left.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
