package pebblestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/refrain-dev/refrain"
)

// A filter tells which operations are not in a generation, without asking the disk: a Bloom filter, about one wrong "may be"
// in two hundred for a million records. Adding and asking may run concurrently.
type filter struct {
	chunks   atomic.Pointer[[]chunk]
	complete atomic.Bool // it knows every record of the generation

	mu    sync.Mutex // of those who change it
	left  int        // how many records the newest chunk can take
	bytes *atomic.Int64
	over  bool // it got too large
}

// A chunk is a part of a filter, in blocks of one cache line each.
type chunk []block

type block [8]uint64

const (
	firstChunk     = 1 << 10  // blocks: 64 KiB
	largestChunk   = 1 << 14  // blocks: 1 MiB
	recordsOfBlock = 32       // 16 bits each
	blockSize      = 64       // bytes
	bitsOfRecord   = 7        // set in its block
	filterLimit    = 64 << 20 // bytes of all filters of a store, which is for 30 million records
)

// newFilter returns a filter that knows no record and counts its memory in bytes.
func newFilter(bytes *atomic.Int64) *filter {
	f := &filter{bytes: bytes}
	f.chunks.Store(new([]chunk))
	return f
}

// mayHave reports whether the operation may be in the generation.
func (f *filter) mayHave(id *refrain.ID) bool {
	if !f.complete.Load() {
		return true
	}
	place, bits := position(id)
	for _, c := range *f.chunks.Load() {
		if c[place&uint64(len(c)-1)].has(bits) {
			return true
		}
	}
	return !f.complete.Load() // or it was dropped meanwhile, and these were not all chunks
}

// add makes the filter know the operation. A filter that would take too much memory knows nothing from then on.
func (f *filter) add(id *refrain.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over || f.left == 0 && !f.grow() {
		return
	}
	f.left--
	all := *f.chunks.Load()
	place, bits := position(id)
	newest := all[len(all)-1]
	newest[place&uint64(len(newest)-1)].set(bits)
}

// grow adds an empty chunk, twice as large as the last.
func (f *filter) grow() bool {
	all := *f.chunks.Load()
	blocks := min(firstChunk<<len(all), largestChunk)
	if f.bytes.Add(int64(blocks)*blockSize) > filterLimit {
		f.bytes.Add(-int64(blocks) * blockSize)
		f.drop()
		return false
	}
	all = append(slices.Clip(all), make(chunk, blocks))
	f.chunks.Store(&all)
	f.left = blocks * recordsOfBlock
	return true
}

// finish says that every record of the generation was added.
func (f *filter) finish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.complete.Store(true)
	}
}

// release gives the filter's memory back.
func (f *filter) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop()
}

func (f *filter) drop() {
	f.over = true
	f.complete.Store(false)
	for _, c := range *f.chunks.Load() {
		f.bytes.Add(-int64(len(c)) * blockSize)
	}
	f.chunks.Store(new([]chunk))
}

// position returns which block is the operation's and where in it its bits are, nine of them for each. IDs are hashes already.
func position(id *refrain.ID) (place, bits uint64) {
	return binary.LittleEndian.Uint64(id[2:]), binary.LittleEndian.Uint64(id[10:])
}

func (b *block) set(bits uint64) {
	for range bitsOfRecord {
		atomic.OrUint64(&b[bits>>6&7], 1<<(bits&63))
		bits >>= 9
	}
}

func (b *block) has(bits uint64) bool {
	for range bitsOfRecord {
		if atomic.LoadUint64(&b[bits>>6&7])&(1<<(bits&63)) == 0 {
			return false
		}
		bits >>= 9
	}
	return true
}

// fillPause keeps the filling of filters from taking the machine from those who wait for answers: a million records take a
// second.
const (
	fillStep  = 10_000
	fillPause = 5 * time.Millisecond
)

// fillFilters reads the heads that were there when the store was opened into the filters of their generations, which know
// nothing until then.
func (s *Store) fillFilters() {
	for _, g := range s.heads.list() {
		if g.complete.Load() {
			continue // made since
		}
		start, end := rangeOf(prefixHead, g.generation)
		for start != nil {
			var err error
			if start, err = s.fillStep(g.filter, start, end); err != nil {
				s.log.Warn("filter is not filled, lookups take longer", "err", err)
				return
			}
			select {
			case <-time.After(fillPause):
			case <-s.stop:
				return
			}
		}
		g.finish()
	}
}

// fillStep adds some heads and returns where to go on, or nil.
func (s *Store) fillStep(f *filter, start, end []byte) (next []byte, err error) {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return nil, refrain.ErrClosed
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return nil, err
	}
	n := 0
	for it.First(); it.Valid(); it.Next() {
		if n++; n > fillStep {
			next = bytes.Clone(it.Key())
			break
		}
		id := refrain.ID(it.Key()[1+generationSize:])
		f.add(&id)
	}
	return next, errors.Join(it.Error(), it.Close())
}
