package pebblestore

import (
	"encoding/binary"
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// A generation is the records that are forgotten together, by dropping one range of keys.
//
// Class k holds lifetimes of up to 2*2^k seconds, the smallest k that fits, and epoch e of it what was written between
// e*2^k and (e+1)*2^k seconds after 1970. Nothing in it lives beyond (e+3)*2^k. The zero generation is none.
type generation struct {
	class uint8 // k+1, so that zero is free
	epoch uint64
}

// eternal is the generation of records that never expire: the unknown ones.
var eternal = generation{class: math.MaxUint8}

// generationOf returns the generation for what is written now and lives that long.
func generationOf(now time.Time, lifetime time.Duration) generation {
	k := 0
	for 2*(time.Second<<k) < lifetime && k < 33 {
		k++
	}
	return generation{class: uint8(k) + 1, epoch: uint64(max(now.Unix(), 0)) >> k}
}

// overAt reports whether nothing in the generation is alive any more.
func (g generation) overAt(now time.Time) bool {
	if g == eternal {
		return false
	}
	k := g.class - 1
	return uint64(max(now.Unix(), 0))>>k >= g.epoch+3
}

const generationSize = 1 + 8

func (g generation) append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(append(b, g.class), g.epoch)
}

// decodeGeneration decodes what append appended to the front of b.
func decodeGeneration(b []byte) generation {
	return generation{class: b[0], epoch: binary.BigEndian.Uint64(b[1:])}
}

// next returns the generation whose keys follow.
func (g generation) next() generation {
	if g.epoch == math.MaxUint64 {
		return generation{class: g.class + 1}
	}
	return generation{g.class, g.epoch + 1}
}

// generations are those of one kind that the disk holds. One goroutine changes them; all may list them.
type generations struct {
	all atomic.Pointer[[]generation]
}

func (gs *generations) list() []generation {
	if p := gs.all.Load(); p != nil {
		return *p
	}
	return nil
}

// add makes the generation known before the first record is written to it.
func (gs *generations) add(g generation) {
	old := gs.list()
	if slices.Contains(old, g) {
		return
	}
	// The newest is asked first: it is where a retry is most likely to find its record.
	all := append([]generation{g}, old...)
	gs.all.Store(&all)
}

// drop forgets generations whose keys are gone.
func (gs *generations) drop(gone []generation) {
	var left []generation
	for _, g := range gs.list() {
		if !slices.Contains(gone, g) {
			left = append(left, g)
		}
	}
	gs.all.Store(&left)
}

// over returns the generations in which nothing lives any more.
func (gs *generations) over(now time.Time) (over []generation) {
	for _, g := range gs.list() {
		if g.overAt(now) {
			over = append(over, g)
		}
	}
	return over
}
