package sqlitestore

import (
	"bytes"
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// TestFullDisk fills a small file system: calls are refused, nothing that was acknowledged is lost, and all goes on when there is
// room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	file := filepath.Join(dir, "refrain.db")
	s := openStore(t, file, Config{})
	defer s.Close()
	large := func(id refrain.ID, token refrain.Token) refrain.Settlement {
		e := finished(id, token)
		e.Outcome.Body = bytes.Repeat([]byte("x"), 100_000)
		return e
	}
	var running []refrain.Settlement // more than there is room for
	for range 60 {
		running = append(running, large(claimed(t, s, time.Hour)))
	}
	var done []refrain.ID
	var refused refrain.Settlement
	for _, refused = range running {
		_, err := s.Settle(t.Context(), refused)
		if errors.Is(err, refrain.ErrFull) {
			break
		}
		if err != nil {
			t.Fatalf("on a full disk: got error %v, want %v", err, refrain.ErrFull)
		}
		done = append(done, refused.ID)
	}
	if len(done) == len(running) {
		t.Fatal("the disk did not get full")
	}
	all := func(s *Store) {
		t.Helper()
		for _, id := range done {
			wantVerdict(t, s, refrain.Claim{ID: id}, refrain.Replay)
		}
	}
	all(s)
	wantVerdict(t, s, refrain.Claim{ID: refused.ID}, refrain.InFlight)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Settle(t.Context(), refused); err != nil {
		t.Errorf("with room again: %v", err)
	}
	done = append(done, refused.ID)
	all(s)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	again := openStore(t, file, Config{})
	defer again.Close()
	all(again)
	t.Logf("%d outcomes, and the one that was refused", len(done)-1)
}
