package refrainhttp

import "sync/atomic"

// defaultBodyMemory bounds the request bodies that are held at one time.
const defaultBodyMemory = 256 << 20

// A budget is memory that requests share.
type budget struct {
	limit int64
	taken atomic.Int64
}

// take takes n bytes and reports whether there were so many.
func (b *budget) take(n int64) bool {
	if b.taken.Add(n) > b.limit {
		b.taken.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.taken.Add(-n) }

// A holding is what one request has of a budget: as much as it has sent. What it has only announced takes no memory, and
// nothing from others. The zero holding is of a budget without a bound.
type holding struct {
	of *budget
	n  int64
}

// reach takes what is missing to n bytes and reports whether there was so much.
func (h *holding) reach(n int64) bool {
	if h.of == nil || n <= h.n {
		return true
	}
	if !h.of.take(n - h.n) {
		return false
	}
	h.n = n
	return true
}

// release gives everything back.
func (h *holding) release() {
	h.of.give(h.n)
	h.n = 0
}
