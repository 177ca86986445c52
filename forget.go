package refrain

import (
	"context"
	"crypto/sha256"
	"errors"
	"iter"
)

// Forget removes the records of operations that are done, before their time: their keys are new from then on. It is for whoever
// sees to it in another way that none is run again. An operation in any other state stays as it is, and so does what the store
// does not forget, which is logged.
//
// It waits for nothing: a store that takes its time forgets behind the caller's back. Close waits for that, unless the store is
// away.
func (g *Guard) Forget(scope Scope, keys iter.Seq[string]) {
	if !g.enter() {
		return
	}
	if g.peeker != nil {
		g.forget(&scope, keys)
	} else {
		go g.forget(&scope, keys)
	}
}

// forget ends with leave.
func (g *Guard) forget(scope *Scope, keys iter.Seq[string]) {
	defer g.leave()
	var room [256]byte
	names := g.identity.names(room[:0], scope)
	for key := range keys {
		err := g.forgetOne(sha256.Sum256(appendString(names, key)))
		if err == nil {
			continue
		}
		g.log.Warn("operation is kept that could be forgotten", "route", scope.Route, "err", err)
		if g.closed() {
			return // each of the others would take as long
		}
	}
}

func (g *Guard) forgetOne(id ID) error {
	ctx := context.Background()
	r, err := g.glance(ctx, id)
	if err != nil || r.State != StateDone && r.State != StateExpired {
		return err
	}
	_, err = g.settle(ctx, Settlement{ID: id, Token: r.Token, Ending: Forgotten})
	g.recall.forget(id)
	if errors.Is(err, ErrStale) {
		return nil
	}
	return err
}

// glance is Lookup for a record that has not ended in this process.
func (g *Guard) glance(ctx context.Context, id ID) (Record, error) {
	if g.peeker == nil {
		return g.Lookup(ctx, id)
	}
	r, _ := g.peeker.Peek(id)
	return r, nil
}
