package pebblestore

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/refrain-dev/refrain"
)

// Claim implements refrain.Store. Whoever does not get the claim is answered without waiting for a commit. The error is
// refrain.ErrFull when the claim would be a new one and less than Config.MinFree is free on the disk.
func (s *Store) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	r := s.requests.get()
	r.id, r.claim = c.ID, &c
	if err := s.transition(ctx, r); err != nil {
		return refrain.Decision{}, fmt.Errorf("claiming %s: %w", c.ID, err)
	}
	d := refrain.Decision{Verdict: r.verdict, Record: r.new.Record, Now: r.at}
	s.requests.put(r)
	return d, nil
}

// Settle implements refrain.Store.
func (s *Store) Settle(ctx context.Context, e refrain.Settlement) (refrain.Record, error) {
	r := s.requests.get()
	r.id, r.settlement = e.ID, &e
	if err := s.transition(ctx, r); err != nil {
		return refrain.Record{}, fmt.Errorf("settling %s: %w", e.ID, err)
	}
	next := r.new.Record
	s.requests.put(r)
	return next, nil
}

// transition decides the request: at once if it changes nothing, else with a commit. The answer is in the request when the
// error is nil; with an error, the request may still be under way.
func (s *Store) transition(ctx context.Context, r *request) (err error) {
	for {
		if r.seen, err = s.look(r.id); err != nil {
			return err
		}
		var written bool
		r.at = s.clock.Now()
		r.new.Record, written = r.apply(&r.seen.Record, r.at, 0)
		if !written && (r.err == nil || !r.seen.changing) { // a claim that is given back may be what comes after it
			return r.err
		}
		if err := s.room(); err != nil && r.claim != nil {
			return err
		}
		taken, wait, err := s.committer.take(r)
		switch {
		case err != nil:
			return err
		case taken:
			return s.await(ctx, r)
		case wait != nil:
			if err := pause(ctx, wait); err != nil {
				return err
			}
		}
	}
}

// await waits for the answer to a request that a group has taken. The context is watched only once the answer is late: that
// takes a timer for each request, and a commit takes a millisecond.
func (s *Store) await(ctx context.Context, r *request) error {
	select {
	case <-r.done:
		return r.err
	case <-r.late:
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("%w: the commit goes on without its caller: %w", refrain.ErrUnavailable, context.Cause(ctx))
	}
}

// pause waits, before anything was decided, unless the caller leaves first.
func pause(ctx context.Context, wait <-chan struct{}) error {
	select {
	case <-wait:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: nothing was written: %w", refrain.ErrUnavailable, context.Cause(ctx))
	}
}

// Renew implements refrain.Store. The new lease is in memory only: after a restart the claim has the lease it was made with.
func (s *Store) Renew(ctx context.Context, r refrain.Renewal) error {
	if err := s.renew(ctx, r); err != nil {
		return fmt.Errorf("renewing %s: %w", r.ID, err)
	}
	return nil
}

func (s *Store) renew(ctx context.Context, r refrain.Renewal) error {
	for {
		if err := s.usable(); err != nil {
			return err
		}
		wait, err := s.live.renew(r, s.clock.Now())
		if wait == nil {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// Get implements refrain.Store.
func (s *Store) Get(_ context.Context, id refrain.ID) (refrain.Record, error) {
	seen, err := s.look(id)
	if err != nil {
		return refrain.Record{}, fmt.Errorf("reading %s: %w", id, err)
	}
	return seen.At(s.clock.Now()), nil
}

// look returns the durable record. See live for why it looks twice.
func (s *Store) look(id refrain.ID) (sighting, error) {
	if err := s.usable(); err != nil {
		return sighting{}, err
	}
	for {
		before, held := s.live.look(id)
		if held {
			return before, nil
		}
		onDisk, err := s.read(id)
		if err != nil {
			return sighting{}, err
		}
		after, held := s.live.look(id)
		if held {
			return after, nil
		}
		if after.version == before.version {
			return sighting{stored: onDisk, version: after.version, onDisk: true}, nil
		}
	}
}

// read returns what the disk has of an operation that does not run. Running claims are in live, all of them.
func (s *Store) read(id refrain.ID) (stored, error) {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return stored{}, refrain.ErrClosed
	}
	for _, g := range s.heads.list() {
		if !g.mayHave(&id) {
			continue
		}
		head, found, err := s.readHead(id, g.generation)
		switch {
		case errors.Is(err, refrain.ErrUnreadable):
			s.log.Error("record is unreadable, its operation counts as unknown", "op", id, "err", err)
			return head, nil
		case err != nil:
			return stored{}, err
		case found:
			return s.withOutcome(id, head)
		}
	}
	return stored{}, nil
}

func (s *Store) readHead(id refrain.ID, g generation) (head stored, found bool, err error) {
	head = stored{Record: refrain.Unreadable(), head: g}
	var room [headKeySize]byte
	found, err = s.get(appendHeadKey(room[:0], g, id), func(value []byte) (err error) {
		head, err = decodeHead(id, g, value)
		return err
	})
	return head, found, err
}

// withOutcome adds the outcome to a head, if it is still to be given out.
func (s *Store) withOutcome(id refrain.ID, head stored) (stored, error) {
	if head.outcome == (place{}) || head.At(s.clock.Now()).State != head.State {
		return head, nil
	}
	whole := refrain.Record{}
	var room [outcomeKeySize]byte
	found, err := s.get(appendOutcomeKey(room[:0], head.outcome), func(value []byte) (err error) {
		// The record shares the value's memory, which Pebble takes back.
		whole, err = refrain.DecodeRecord(id, append([]byte(nil), value...))
		return err
	})
	switch {
	case err != nil && !errors.Is(err, refrain.ErrUnreadable):
		return stored{}, err
	case !found && head.At(s.clock.Now()).State != head.State:
		return head, nil // it was swept meanwhile
	case err != nil || !found || whole.Fence != head.Fence || whole.Outcome == nil:
		s.log.Error("outcome is unreadable, its operation counts as unknown", "op", id, "found", found, "err", err)
		head.Record = refrain.Unreadable()
		return head, nil
	}
	head.Outcome = whole.Outcome
	return head, nil
}

// get gives the key's value to use, which must not keep it, and reports whether there was one. Damaged data are
// refrain.ErrUnreadable, any other failure is refrain.ErrUnavailable.
func (s *Store) get(key []byte, use func(value []byte) error) (found bool, err error) {
	value, closer, err := s.db.Get(key)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return false, nil
	case pebble.IsCorruptionError(err):
		return false, fmt.Errorf("%w: %w", refrain.ErrUnreadable, err)
	case err != nil:
		return false, fmt.Errorf("%w: %w", refrain.ErrUnavailable, err)
	}
	defer closer.Close()
	return true, use(value)
}
