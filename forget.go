package refrain

import (
	"context"
	"crypto/sha256"
	"errors"
	"iter"
)

// Forget removes the records of operations that are done, before their time: their keys are new from then on. It is for whoever
// sees to it in another way that none is run again. An operation in any other state stays as it is, and so does what the store
// does not forget, which is logged. A key is looked at no longer than until the next one is asked for.
//
// It waits for nothing: a store that takes its time forgets behind the caller's back. Close waits for that, unless the store is
// away.
func (g *Guard) Forget(scope Scope, keys iter.Seq[[]byte]) {
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
func (g *Guard) forget(scope *Scope, keys iter.Seq[[]byte]) {
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
	token, err := g.lastToken(ctx, id)
	if err != nil || token == (Token{}) {
		return err
	}
	_, err = g.settle(ctx, Settlement{ID: id, Token: token, Ending: Forgotten})
	g.recall.forget(id)
	if errors.Is(err, ErrStale) {
		return nil
	}
	return err
}

// lastToken returns the token of an operation that is done, or zero. It may be that of one that is not: to forget that one
// changes nothing.
func (g *Guard) lastToken(ctx context.Context, id ID) (Token, error) {
	if g.tokens != nil {
		return g.tokens.PeekToken(id), nil
	}
	r, err := g.Lookup(ctx, id)
	if err != nil || r.State != StateDone && r.State != StateExpired {
		return Token{}, err
	}
	return r.Token, nil
}
