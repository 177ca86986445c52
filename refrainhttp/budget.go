package refrainhttp

import (
	"net/http"
	"sync/atomic"
)

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

// bodyRoom returns how much memory a request's body may take.
func bodyRoom(r *http.Request, limit int64) int64 {
	switch {
	case r.ContentLength < 0:
		return limit
	case r.ContentLength > limit:
		return 0 // it is refused unread
	}
	return r.ContentLength
}
