package storage

import (
	"context"
	"sync/atomic"
	"time"
)

// How often a store that is away is tried, and how long each time.
const (
	shortestPause = time.Second
	longestPause  = 3 * time.Second
	patience      = 20 * time.Second
)

// An awaited store is one that did not answer when this process began, and is tried until it opens.
type awaited struct {
	opener

	why    atomic.Pointer[error] // it is not open
	opened chan *Storage         // gets it when it is, and is closed then, or when it is given up
	giveUp context.CancelFunc
}

// await returns a Storage that goes without the store, and waits for it. Its secret is nobody's, and its Guard gets no journal:
// what is not opened yet can neither find nor lose an operation.
func (o opener) await(why error) (*Storage, error) {
	kept, err := o.journal.Entries()
	if err != nil {
		return nil, err
	}
	a := &awaited{opener: o, opened: make(chan *Storage, 1)}
	a.why.Store(&why)
	o.log.Warn("the store does not answer: serving without it, as store_down says, until it does",
		"store", o.cfg.Store.String(), "err", why)
	ctx, giveUp := context.WithCancel(context.Background())
	a.giveUp = giveUp
	go a.run(ctx)
	return &Storage{
		Store: absent{a}, Secret: newSecret(), Unrecorded: len(kept), opened: a.opened,
		close: []func() error{a.stop, o.journal.Close},
	}, nil
}

func (a *awaited) run(ctx context.Context) {
	defer close(a.opened)
	for pause := shortestPause; ; pause = min(pause*5/4, longestPause) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		s, err := a.try(ctx)
		if err == nil {
			a.opened <- s
			return
		}
		if ctx.Err() == nil {
			a.note(err)
		}
	}
}

func (a *awaited) try(ctx context.Context) (*Storage, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return a.open(ctx)
}

// note keeps why the store is not open, and tells the operator what waiting alone does not mend, whenever that is something else.
func (a *awaited) note(err error) {
	was, away := *a.why.Swap(&err), isOutage(err)
	switch {
	case away && !isOutage(was):
		a.log.Warn("the store does not answer", "store", a.cfg.Store.String(), "err", err)
	case !away && err.Error() != was.Error():
		a.log.Error("the store answers, and cannot be used as it is: trying until it can", "store", a.cfg.Store.String(), "err", err)
	}
}

// stop ends the trying, and closes what nobody has taken.
func (a *awaited) stop() error {
	a.giveUp()
	if s := <-a.opened; s != nil {
		return s.Close()
	}
	return nil
}
