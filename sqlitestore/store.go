package sqlitestore

import (
	"context"
	"fmt"
	"time"

	"github.com/refrain-dev/refrain"
)

// findQuery reads a record, and the recorded time, as of one moment. SQLite shows only what is durable.
const findQuery = "SELECT s.clock, o.head, o.record FROM refrain_store s LEFT JOIN refrain_operations o ON o.id = ?"

// Claim implements refrain.Store. Whoever does not get the claim is answered without waiting for a commit, or for the lock.
func (s *Store) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	d, err := s.claim(ctx, &c)
	if err != nil {
		return refrain.Decision{}, fmt.Errorf("claiming %s: %w", c.ID, err)
	}
	return d, nil
}

func (s *Store) claim(ctx context.Context, c *refrain.Claim) (refrain.Decision, error) {
	cur, now, err := s.look(ctx, c.ID)
	if err != nil {
		return refrain.Decision{}, err
	}
	if d, written := c.Apply(cur, now, 0); !written {
		return d, nil
	}
	r := &request{id: c.ID, claim: c}
	if err := s.transition(ctx, r); err != nil {
		return refrain.Decision{}, err
	}
	return r.decision, nil
}

// Settle implements refrain.Store. What changes nothing, such as an ending of what was finished in a transaction, does not wait
// for the lock.
func (s *Store) Settle(ctx context.Context, e refrain.Settlement) (refrain.Record, error) {
	next, err := s.settle(ctx, &e)
	if err != nil {
		return refrain.Record{}, fmt.Errorf("settling %s: %w", e.ID, err)
	}
	return next, nil
}

func (s *Store) settle(ctx context.Context, e *refrain.Settlement) (refrain.Record, error) {
	cur, now, err := s.look(ctx, e.ID)
	if err != nil {
		return refrain.Record{}, err
	}
	if next, written, err := e.Apply(cur, now); !written {
		return next, err
	}
	r := &request{id: e.ID, settlement: e}
	if err := s.transition(ctx, r); err != nil {
		return refrain.Record{}, err
	}
	return r.record, nil
}

// Renew implements refrain.Store.
func (s *Store) Renew(ctx context.Context, r refrain.Renewal) error {
	if err := s.transition(ctx, &request{id: r.ID, renewal: &r}); err != nil {
		return fmt.Errorf("renewing %s: %w", r.ID, err)
	}
	return nil
}

// transition has the writer decide the request. The answer is in the request when the error is nil; with an error, the request
// may still be under way.
func (s *Store) transition(ctx context.Context, r *request) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	r.done = make(chan struct{})
	if err := s.queue.add(r); err != nil {
		return err
	}
	return r.await(ctx)
}

// ready returns why a call cannot begin.
func (s *Store) ready(ctx context.Context) error {
	if err := s.Err(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: nothing was done: %w", refrain.ErrUnavailable, context.Cause(ctx))
	}
	return nil
}

// Get implements refrain.Store.
func (s *Store) Get(ctx context.Context, id refrain.ID) (refrain.Record, error) {
	r, now, err := s.look(ctx, id)
	if err != nil {
		return refrain.Record{}, fmt.Errorf("reading %s: %w", id, err)
	}
	return r.At(now), nil
}

// look returns what is stored, and the store's time.
func (s *Store) look(ctx context.Context, id refrain.ID) (refrain.Record, time.Time, error) {
	if err := s.ready(ctx); err != nil {
		return refrain.Record{}, time.Time{}, err
	}
	var w row
	var recorded int64
	err := patiently(ctx, func() error { return w.scan(s.find.QueryRowContext(ctx, id[:]), &recorded) })
	if err != nil {
		return refrain.Record{}, time.Time{}, s.unread(err)
	}
	return s.decode(id, w), s.now(recorded), nil
}

// now returns the store's time. The file says when it was last written to, in microseconds.
func (s *Store) now(recorded int64) time.Time { return s.clock.NowFrom(time.UnixMicro(recorded)) }

// unread says of an error of a reader's what it means to the caller.
func (s *Store) unread(err error) error {
	if e := s.Err(); e != nil { // the connections are closed under it
		return e
	}
	return unavailable(err)
}
