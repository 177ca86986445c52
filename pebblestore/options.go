package pebblestore

import (
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// options returns Pebble's options. Memory is bounded by four memtables and the cache; writes are never slowed down by the
// number of files in the first level, because compactions catch up when the load ends.
func (s *Store) options() *pebble.Options {
	o := &pebble.Options{
		FS:                          s.disk,
		FormatMajorVersion:          pebble.FormatValueSeparation, // named, so that an upgrade of Pebble changes no files
		MemTableSize:                16 << 20,
		MemTableStopWritesThreshold: 4,
		CacheSize:                   16 << 20,
		L0CompactionThreshold:       20,
		L0StopWritesThreshold:       1000,
		Logger:                      pebbleLogger{s.log, s.fault},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { s.log.Warn("background work failed and is tried again", "err", err) },
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				s.log.Error("data are damaged, operations in them count as unknown", "file", info.Path, "err", info.Details)
			},
		},
	}
	o.Experimental.SpanPolicyFunc = onePrefix
	for i := range o.TargetFileSizes {
		o.TargetFileSizes[i] = 16 << 20
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // most lookups are of operations that nobody knows
	}
	if s.tune != nil {
		s.tune(o)
	}
	return o
}

// onePrefix has Pebble end a table where the keys of the next kind begin. Tables of outcomes, which are most of the bytes, then
// overlap no others, and compactions move them instead of writing them again.
func onePrefix(start []byte) (pebble.SpanPolicy, []byte, error) {
	return pebble.SpanPolicy{}, []byte{start[0] + 1}, nil
}

// A pebbleLogger turns what is fatal to Pebble into a fault of the store. Pebble expects the process to end there, and
// acknowledges the write when it does not.
type pebbleLogger struct {
	log   *slog.Logger
	fault *fault
}

func (pebbleLogger) Infof(string, ...any) {}

func (l pebbleLogger) Errorf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }

func (l pebbleLogger) Fatalf(format string, args ...any) {
	err := l.fault.fail(fmt.Errorf(format, args...))
	l.log.Error("store stops", "err", err)
}
