package memstore

import (
	"time"

	"github.com/refrain-dev/refrain"
)

// A due is the moment at which a record's state changes by itself.
type due struct {
	at time.Duration // since the store's epoch
	id refrain.ID
}

// An agenda is a binary heap of dues, the earliest first. Unlike container/heap it boxes nothing, and what comes in order,
// as nearly everything does, stays where it is appended.
type agenda []due

func (a *agenda) push(d due) {
	h := append(*a, d)
	i := len(h) - 1
	for i > 0 && d.at < h[(i-1)/2].at {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = d
	*a = h
}

// pop takes the earliest off an agenda that is not empty.
func (a *agenda) pop() due {
	h := *a
	first, d := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*a = h
	for i := 0; i < len(h); {
		child := 2*i + 1
		if child+1 < len(h) && h[child+1].at < h[child].at {
			child++
		}
		if child >= len(h) || d.at <= h[child].at {
			h[i] = d
			break
		}
		h[i] = h[child]
		i = child
	}
	return first
}
