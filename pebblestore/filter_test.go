package pebblestore

import (
	"sync/atomic"
	"testing"

	"github.com/refrain-dev/refrain"
)

func TestFilter(t *testing.T) {
	t.Parallel()
	const n = 300_000
	var bytes atomic.Int64
	f := newFilter(&bytes)
	var id refrain.ID
	if !f.mayHave(&id) {
		t.Error("a filter that is not complete says no")
	}
	known := make([]refrain.ID, n)
	for i := range known {
		fillRandom(known[i][:])
		f.add(&known[i])
	}
	f.finish()
	for i := range known {
		if !f.mayHave(&known[i]) {
			t.Fatal("a filter says no of what was added")
		}
	}
	wrong := 0
	for range n {
		fillRandom(id[:])
		if f.mayHave(&id) {
			wrong++
		}
	}
	if wrong > n/100 {
		t.Errorf("got %d wrong answers of %d, want less than one in a hundred", wrong, n)
	}
	if per := bytes.Load() * 8 / n; per < 8 || per > 40 {
		t.Errorf("got %d bits for each record", per)
	}
	t.Logf("%d wrong of %d, %d bytes", wrong, n, bytes.Load())
	f.release()
	if bytes.Load() != 0 || !f.mayHave(&id) {
		t.Errorf("after release: got %d bytes, and no is still an answer", bytes.Load())
	}
}

// TestFilterLimit checks that a filter that must not grow any more says no to nobody.
func TestFilterLimit(t *testing.T) {
	t.Parallel()
	var bytes atomic.Int64
	bytes.Store(filterLimit - firstChunk*blockSize)
	f := newFilter(&bytes)
	f.finish()
	var id refrain.ID
	for range firstChunk*recordsOfBlock + 1 {
		fillRandom(id[:])
		f.add(&id)
	}
	fillRandom(id[:])
	if !f.mayHave(&id) || bytes.Load() != filterLimit-firstChunk*blockSize {
		t.Errorf("got no, or %d bytes: want maybe, and the memory given back", bytes.Load())
	}
	f.add(&id)
	f.finish()
	if !f.mayHave(&id) {
		t.Error("a filter that is too large says no")
	}
}

// TestFilterDropped asks a filter about what it knows while it gets too large. Under the race detector it hardly misses the
// moment.
func TestFilterDropped(t *testing.T) {
	t.Parallel()
	for range 1_000 {
		var bytes atomic.Int64
		bytes.Store(filterLimit)
		f := newFilter(&bytes)
		f.chunks.Store(&[]chunk{make(chunk, 1)})
		f.left = 1
		f.finish()
		known, next := refrain.ID{1}, refrain.ID{2}
		f.add(&known)
		asking, asked := make(chan struct{}), make(chan bool)
		go func() {
			close(asking)
			for f.complete.Load() {
				if !f.mayHave(&known) {
					asked <- false
					return
				}
			}
			asked <- true
		}()
		<-asking
		f.add(&next)
		if !<-asked {
			t.Fatal("a filter says no of what was added")
		}
	}
}
