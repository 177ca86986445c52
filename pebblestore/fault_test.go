package pebblestore

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/refrain-dev/refrain"
)

// TestFailedSync fails one sync under load. From then on nothing may be acknowledged, every call must say that a restart is
// needed, and after a power loss everything that was acknowledged must be there.
func TestFailedSync(t *testing.T) {
	t.Parallel()
	for name, match := range map[string]func(errorfs.Op) bool{
		"log":       func(op errorfs.Op) bool { return isSync(op) && strings.HasSuffix(op.Path, ".log") },
		"manifest":  func(op errorfs.Op) bool { return isSync(op) && strings.Contains(op.Path, "MANIFEST") },
		"table":     func(op errorfs.Op) bool { return isSync(op) && strings.HasSuffix(op.Path, ".sst") },
		"directory": func(op errorfs.Op) bool { return isSync(op) && op.Path == "db" },
		"log write": func(op errorfs.Op) bool {
			return op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".log")
		},
	} {
		for _, nth := range []int64{1, 3, 10} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				testFault(t, match, nth)
			})
		}
	}
}

func isSync(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
}

var errBroken = errors.New("the disk is broken")

func testFault(t *testing.T, match func(errorfs.Op) bool, nth int64) {
	disk := vfs.NewCrashableMem()
	var armed atomic.Bool
	var seen atomic.Int64
	s, err := Open("db", Config{FS: errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && match(op) && seen.Add(1) == nth {
			return errBroken // once: the next sync succeeds, as on a real disk
		}
		return nil
	})), tune: smallPebble})
	if err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	l := newLedger()
	if err := l.workers(t.Context(), s, 6, 1); !errors.Is(err, errBroken) {
		t.Fatalf("the workload: got error %v, want %v", err, errBroken)
	}
	wantFault(t, s)
	after := disk.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); !errors.Is(err, errBroken) {
		t.Errorf("Close: got error %v, want %v", err, errBroken)
	}
	again, err := Open("db", Config{FS: after, tune: smallPebble})
	if err != nil {
		t.Fatalf("Open after the power loss: %v", err)
	}
	defer again.Close()
	if err := checkFacts(again, l.told()); err != nil {
		t.Errorf("after the power loss: %v", err)
	}
}

// wantFault checks that every call says that the store must be restarted.
func wantFault(t *testing.T, s *Store) {
	t.Helper()
	ctx := context.Background()
	c := newClaim()
	_, claimed := s.Claim(ctx, c)
	_, settled := s.Settle(ctx, finishOf(c))
	_, got := s.Get(ctx, c.ID)
	renewed := s.Renew(ctx, refrain.Renewal{ID: c.ID, Token: c.Token})
	for call, err := range map[string]error{
		"Claim": claimed, "Settle": settled, "Get": got, "Renew": renewed, "Err": s.Err(),
	} {
		if !errors.Is(err, refrain.ErrUnavailable) || errors.Is(err, refrain.ErrFull) || errors.Is(err, refrain.ErrClosed) ||
			!errors.Is(err, errBroken) || !strings.Contains(err.Error(), "must be restarted") {
			t.Errorf("%s: got error %v, want an ErrUnavailable that tells to restart and why", call, err)
		}
	}
}

// TestFatalf checks that what Pebble finds fatal is: nothing more is acknowledged although Pebble goes on.
func TestFatalf(t *testing.T) {
	t.Parallel()
	s := openStore(t, "db", Config{FS: vfs.NewMem()})
	if err := runOperation(s); err != nil {
		t.Fatal(err)
	}
	s.options().Logger.Fatalf("wrapped: %w", errBroken)
	wantFault(t, s)
	if err := s.Close(); !errors.Is(err, errBroken) {
		t.Errorf("Close: got error %v, want %v", err, errBroken)
	}
}

// TestFaultSeenBySyncer has the syncer end because of a fault while the answerer is busy: whoever waits is answered all the same,
// whichever of the two the answerer then sees first.
func TestFaultSeenBySyncer(t *testing.T) {
	t.Parallel()
	s := openStore(t, "db", Config{FS: vfs.NewMem()})
	defer s.Close()
	var committers [20]*committer
	var waiting [len(committers)]*request
	for i := range committers {
		c := newClaim()
		r := &request{id: c.ID, claim: &c, done: make(chan struct{}, 1)}
		var err error
		if r.seen, err = s.look(r.id); err != nil {
			t.Fatal(err)
		}
		committers[i], waiting[i] = newCommitter(s, uint64(i+2)), r
		if taken, _, err := committers[i].take(r); !taken {
			t.Fatalf("a request was not taken: %v", err)
		}
	}
	fault := s.fault.fail(errBroken)
	for i, c := range committers {
		c.syncer()
		c.answerer()
		select {
		case <-waiting[i].done:
			if !errors.Is(waiting[i].err, fault) {
				t.Fatalf("got error %v, want %v", waiting[i].err, fault)
			}
		default:
			t.Fatal("a request waits for ever")
		}
	}
}
