package pgstore

import (
	"context"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/refrain-dev/refrain"
)

const (
	wishLife    = 5 * time.Minute
	maxWishes   = 10_000
	firstPause  = 100 * time.Millisecond
	longPause   = 10 * time.Second
	pooledPause = time.Minute
)

// A word is what the processes on a store tell each other by NOTIFY: one letter and the operation.
type word struct {
	kind byte
	id   refrain.ID
}

const (
	isWished = 'w' // somebody waits for it
	hasEnded = 'e'
)

func (w word) text() string { return string(w.kind) + hex.EncodeToString(w.id[:]) }

// watches are the operations of other processes whose end somebody here waits for, and those here that others wait for. Who waits
// says so once, to all; whoever then settles the operation says that it has ended. So nothing is said of what nobody waits for,
// and no transition costs more for it. Words may be lost: who waits asks now and then anyway.
type watches struct {
	store *Store
	wake  chan struct{} // of one slot: there is something to say

	mu      sync.Mutex
	hears   bool // there is a connection that listens
	byID    map[refrain.ID][]chan struct{}
	wishes  [2]map[refrain.ID]struct{} // of others: those since the last turn, and those before
	turned  time.Time
	waiting map[word]struct{} // words that have not been said
}

func newWatches(s *Store) *watches {
	return &watches{
		store: s, wake: make(chan struct{}, 1), byID: make(map[refrain.ID][]chan struct{}), waiting: make(map[word]struct{}),
	}
}

// Watch implements refrain.Watcher, by LISTEN and NOTIFY. It cannot tell through a pooler that gives connections away, nor while
// there is no connection that listens.
func (s *Store) Watch(id refrain.ID) (told <-chan struct{}, stop func()) {
	w := s.watches
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.hears {
		return nil, func() {}
	}
	c := make(chan struct{})
	if len(w.byID[id]) == 0 {
		w.say(word{isWished, id})
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

// settled tells those who wait for the operation elsewhere that it has ended.
func (w *watches) settled(id refrain.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, some := range w.wishes {
		if _, ok := some[id]; ok {
			delete(some, id)
			w.say(word{hasEnded, id})
		}
	}
}

// say has a word said soon. The caller holds the lock.
func (w *watches) say(what word) {
	w.waiting[what] = struct{}{}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// hear takes what another process has said, or this one.
func (w *watches) hear(said string) {
	b, err := hex.DecodeString(said[min(1, len(said)):])
	if err != nil || len(b) != len(refrain.ID{}) {
		return
	}
	id := refrain.ID(b)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch said[0] {
	case hasEnded:
		for _, c := range w.byID[id] {
			close(c)
		}
		delete(w.byID, id)
	case isWished:
		w.wish(id)
	}
}

// wish remembers for a while that somebody waits. The caller holds the lock.
func (w *watches) wish(id refrain.ID) {
	if time.Since(w.turned) > wishLife || len(w.wishes[0]) >= maxWishes {
		w.wishes = [2]map[refrain.ID]struct{}{make(map[refrain.ID]struct{}), w.wishes[0]}
		w.turned = time.Now()
	}
	w.wishes[0][id] = struct{}{}
}

// speak says what there is to say, all at once, until the store closes. What cannot be said is lost.
func (w *watches) speak() {
	for {
		select {
		case <-w.store.closing.Done():
			return
		case <-w.wake:
			_ = w.notify(w.store.closing)
		}
	}
}

func (w *watches) notify(ctx context.Context) error {
	w.mu.Lock()
	var said []string
	for what := range w.waiting {
		said = append(said, what.text())
	}
	clear(w.waiting)
	w.mu.Unlock()
	conn, release, err := w.store.reader(ctx)
	if err != nil {
		return err
	}
	defer release()
	_, err = conn.Exec(ctx, "SELECT pg_notify($1, said) FROM unnest($2::text[]) AS said", w.channel(), said)
	return err
}

func (w *watches) channel() string { return "refrain_" + hex.EncodeToString(w.store.name[:]) }

// listen hears what is said until the store closes, on one connection after the other.
func (w *watches) listen() {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		heard, err := w.attend(w.store.closing)
		switch {
		case errors.Is(err, errPooled):
			pause = pooledPause
		case heard:
			pause = firstPause
		}
		select {
		case <-w.store.closing.Done():
			return
		case <-time.After(pause):
		}
	}
}

var errPooled = errors.New("the connection is a pooler's, which gives it away after each transaction")

// attend listens until the connection breaks, and reports whether it ever did.
func (w *watches) attend(ctx context.Context) (heard bool, err error) {
	cfg := w.store.pool.Config()
	if err := cfg.BeforeConnect(ctx, cfg.ConnConfig); err != nil {
		return false, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg.ConnConfig)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var pid uint32
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return false, err
	}
	if pid != conn.PgConn().PID() {
		return false, errPooled
	}
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{w.channel()}.Sanitize()); err != nil {
		return false, err
	}
	w.setHears(true)
	defer w.setHears(false)
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return true, err
		}
		w.hear(n.Payload)
	}
}

// setHears notes whether there is a connection that listens. A new one says again what somebody here waits for.
func (w *watches) setHears(yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hears = yes
	for id := range w.byID {
		if yes {
			w.say(word{isWished, id})
		}
	}
}
