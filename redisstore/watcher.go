package redisstore

import (
	"context"
	"encoding/hex"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/refrain-dev/refrain"
)

// watches are the operations of other processes whose end somebody here waits for.
type watches struct {
	mu   sync.Mutex
	byID map[refrain.ID][]chan struct{}
}

// Watch implements refrain.Watcher: by publish and subscribe, where the server lets this user.
func (s *Store) Watch(id refrain.ID) (ended <-chan struct{}, stop func()) {
	c := make(chan struct{})
	w := &s.watches
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byID == nil {
		w.byID = make(map[refrain.ID][]chan struct{})
	}
	w.byID[id] = append(w.byID[id], c)
	return c, func() { w.stop(id, c) }
}

func (w *watches) stop(id refrain.ID, c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var rest []chan struct{}
	for _, other := range w.byID[id] {
		if other != c {
			rest = append(rest, other)
		}
	}
	if rest == nil {
		delete(w.byID, id)
		return
	}
	w.byID[id] = rest
}

// tell wakes those who wait for the operation.
func (w *watches) tell(id refrain.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.byID[id] {
		close(c)
	}
	delete(w.byID, id)
}

// listen hears which operations have ended, until ctx ends.
func (s *Store) listen(ctx context.Context) {
	for ctx.Err() == nil {
		subscribe := s.client.B().Subscribe().Channel(s.names.ended).Build()
		err := s.client.Receive(ctx, subscribe, func(m rueidis.PubSubMessage) {
			var id refrain.ID
			if b, err := hex.DecodeString(m.Message); err == nil && len(b) == len(id) {
				s.watches.tell(refrain.ID(b))
			}
		})
		every := time.Second
		if _, refused := rueidis.IsRedisErr(err); refused {
			every = time.Minute // no right to subscribe: those who wait ask now and then
		}
		_ = pause(ctx, every)
	}
}
