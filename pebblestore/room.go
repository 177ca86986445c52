package pebblestore

import (
	"fmt"
	"strings"
	"time"

	"github.com/refrain-dev/refrain"
)

// tendPause is how often the store looks after its disk and its generations.
const tendPause = 250 * time.Millisecond

// tend watches the room on the disk and has expired generations dropped, until the store is closed.
func (s *Store) tend() {
	tick := time.NewTicker(tendPause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.stop:
			return
		}
		s.measure()
		s.committer.sweep(s.clock.Now())
	}
}

// measure finds out whether there is room for new claims. A file system that cannot tell has room.
func (s *Store) measure() {
	usage, err := s.disk.GetDiskUsage(s.dir)
	low := err == nil && usage.AvailBytes < uint64(s.minFree)
	if low == s.low.Swap(low) {
		return
	}
	if low {
		s.log.Error("disk is nearly full, new claims are refused", "dir", s.dir, "free", usage.AvailBytes, "min", s.minFree)
	} else {
		s.log.Info("disk has room again", "dir", s.dir, "free", usage.AvailBytes)
	}
}

// room returns refrain.ErrFull when there is no room for new claims.
func (s *Store) room() error {
	switch {
	case s.disk.starved.Load() > 0:
		return fmt.Errorf("%w: no room on the disk of %s", refrain.ErrFull, s.dir)
	case s.low.Load():
		return fmt.Errorf("%w: less than %d MiB free on the disk of %s", refrain.ErrFull, s.minFree>>20, s.dir)
	}
	return nil
}

// roomToRecover checks that what the last process left in the write-ahead log can be written to tables, which Pebble does
// before it opens.
func (s *Store) roomToRecover() error {
	names, err := s.disk.List(s.dir)
	if err != nil {
		return err
	}
	need := int64(1 << 20)
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		info, err := s.disk.Stat(s.disk.PathJoin(s.dir, name))
		if err != nil {
			return err
		}
		need += info.Size()
	}
	if usage, err := s.disk.GetDiskUsage(s.dir); err == nil && usage.AvailBytes < uint64(need) {
		return fmt.Errorf("%w: %d bytes free, %d needed", refrain.ErrFull, usage.AvailBytes, need)
	}
	return nil
}
