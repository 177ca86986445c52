package refrain

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Forget removes the records of operations that are done, before their time: their keys are new from then on. It is for whoever
// sees to it in another way that none is run again. An operation in any other state stays as it is. The error is that of the
// first that could not be forgotten.
func (g *Guard) Forget(ctx context.Context, scope Scope, keys ...string) (err error) {
	if !g.enter() {
		return fmt.Errorf("forgetting: %w", ErrClosed)
	}
	defer g.leave()
	var room [256]byte
	names := g.identity.names(room[:0], &scope)
	for _, key := range keys {
		if e := g.forget(ctx, sha256.Sum256(appendString(names, key))); err == nil {
			err = e
		}
	}
	return err
}

func (g *Guard) forget(ctx context.Context, id ID) error {
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
