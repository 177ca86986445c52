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

// A held is a generation that the disk holds, and a filter of its records, if there is one.
type held struct {
	generation
	*filter
}

// generations are those of one kind that the disk holds. One goroutine changes them; all may list them.
type generations struct {
	all atomic.Pointer[[]held]
}

func (gs *generations) list() []held {
	if p := gs.all.Load(); p != nil {
		return *p
	}
	return nil
}

// find returns the filter of a generation, and whether the generation is there.
func (gs *generations) find(g generation) (*filter, bool) {
	for _, h := range gs.list() {
		if h.generation == g {
			return h.filter, true
		}
	}
	return nil, false
}

// add makes a generation known, before its first record is written. The newest comes first: it is where a retry is most
// likely to find its record.
func (gs *generations) add(g generation, f *filter) {
	all := append([]held{{g, f}}, gs.list()...)
	gs.all.Store(&all)
}

// drop forgets generations whose keys are gone.
func (gs *generations) drop(gone []held) {
	if len(gone) == 0 {
		return
	}
	var left []held
	for _, h := range gs.list() {
		if !slices.Contains(gone, h) {
			left = append(left, h)
		} else if h.filter != nil {
			h.release()
		}
	}
	gs.all.Store(&left)
}

// over returns the generations in which nothing lives any more.
func (gs *generations) over(now time.Time) (over []held) {
	for _, h := range gs.list() {
		if h.overAt(now) {
			over = append(over, h)
		}
	}
	return over
}

// headsOf returns the filter of the generation of heads, which is made if it is not there.
func (s *Store) headsOf(g generation) *filter {
	f, known := s.heads.find(g)
	if !known {
		f = newFilter(&s.filterBytes)
		f.finish()
		s.heads.add(g, f)
	}
	return f
}

// outcomesOf makes the generation of outcomes known.
func (s *Store) outcomesOf(g generation) {
	if _, known := s.outcomes.find(g); !known {
		s.outcomes.add(g, nil)
	}
}
