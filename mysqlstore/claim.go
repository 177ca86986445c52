package mysqlstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/refrain-dev/refrain"
)

// wrap says what was being done with which operation.
func wrap(what string, id refrain.ID, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", what, id, err)
}

// errLost is the answer when the server's was lost and what is there does not tell it either.
var errLost = fmt.Errorf("%w: an answer was lost, and others were quicker since", refrain.ErrUnavailable)

// Claim implements refrain.Store. A new operation takes one round trip, in one transaction with what else the process claims
// and finishes at the time; any other takes a second one.
func (s *Store) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	d, err := s.claim(ctx, &c)
	if err == nil && d.Verdict == refrain.Run {
		s.known.put(c.ID, &d.Record)
	}
	return d, wrap("claiming", c.ID, err)
}

func (s *Store) claim(ctx context.Context, c *refrain.Claim) (d refrain.Decision, err error) {
	if err := s.enter(); err != nil {
		return d, err
	}
	defer s.leave()
	r := &request{claim: c}
	if err := s.together(ctx, r); err != nil {
		return d, err
	}
	if r.done {
		return refrain.Decision{Verdict: refrain.Run, Record: r.record, Now: r.record.Created}, nil
	}
	got, err := s.change(ctx, c.ID, r.found, r.lost, func(f *found) (next refrain.Record, written bool, err error) {
		d, written = c.Apply(f.record(), f.now, 0)
		return d.Record, written, nil
	})
	switch {
	case err != nil:
		return refrain.Decision{}, err
	case got.lost && d.Verdict != refrain.Run:
		return refrain.Decision{}, errLost // it may have been won, and ended by others
	}
	d.Record = got.next
	if d.Now.Before(d.Record.Created) {
		d.Now = d.Record.Created // it was looked at before it was made
	}
	return d, nil
}

// Settle implements refrain.Store. To finish what was claimed through this store takes one round trip, in one transaction with
// what else the process claims and finishes at the time; any other settlement takes two.
func (s *Store) Settle(ctx context.Context, t refrain.Settlement) (refrain.Record, error) {
	r, err := s.settle(ctx, &t)
	if err == nil || errors.Is(err, refrain.ErrStale) {
		s.known.forget(t.ID, t.Token)
	}
	return r, wrap("settling", t.ID, err)
}

func (s *Store) settle(ctx context.Context, t *refrain.Settlement) (refrain.Record, error) {
	if err := s.enter(); err != nil {
		return refrain.Record{}, err
	}
	defer s.leave()
	t.Outcome, t.Tombstone = s.fitting(t.ID, t.Outcome), countable(t)
	r := &request{settle: t}
	if cur, ok := s.known.get(t.ID, t.Token); ok && t.Ending == refrain.Finished && t.Instead == (refrain.Token{}) &&
		t.Retention > 0 && t.Tombstone >= 0 {
		r.record, r.plan = cur, s.planFor(ctx, t)
		if err := s.together(ctx, r); err != nil {
			return refrain.Record{}, err
		}
	}
	if r.done {
		return r.record, nil
	}
	got, err := s.change(ctx, t.ID, nil, r.lost, func(f *found) (refrain.Record, bool, error) {
		return t.Apply(f.record(), f.now)
	})
	switch {
	case errors.Is(err, refrain.ErrStale) && got.lost && got.found.releasedBy(t):
		return refrain.Record{}, nil
	case errors.Is(err, refrain.ErrStale) && got.lost:
		return refrain.Record{}, errLost // it may have been made, and undone by others
	case err != nil:
		return refrain.Record{}, err
	}
	return got.next, nil
}

// releasedBy reports whether what was found is what the settlement leaves behind, which was made but whose answer was lost.
func (f *found) releasedBy(t *refrain.Settlement) bool {
	return (t.Ending == refrain.Released || t.Ending == refrain.Forgotten) && f.current() == nil && f.live != nil &&
		f.live.record.Token == t.Token
}

// fitting returns the outcome, or what can be kept of one that is larger than what the server takes at once.
func (s *Store) fitting(id refrain.ID, o *refrain.Outcome) *refrain.Outcome {
	packet := s.settings.Load().packet
	if o == nil || 2*o.Size()+1<<16 < packet {
		return o
	}
	s.log.Warn("outcome is larger than half of the server's max_allowed_packet: its body is not kept", "op", id, "bytes", o.Size())
	small := &refrain.Outcome{Status: o.Status, Omitted: true}
	if 2*len(o.Meta)+1<<16 < packet {
		small.Meta = o.Meta
	}
	return small
}

// countable returns the tombstone, or less of one that ends later than a Duration from now can say: in 292 years.
func countable(t *refrain.Settlement) time.Duration {
	return min(t.Tombstone, math.MaxInt64-max(t.Retention, 0))
}

// Renew implements refrain.Store.
func (s *Store) Renew(ctx context.Context, r refrain.Renewal) error {
	return wrap("renewing", r.ID, s.renew(ctx, &r))
}

func (s *Store) renew(ctx context.Context, r *refrain.Renewal) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if r.Token == (refrain.Token{}) {
		return refrain.ErrStale
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	for attempt := 0; ; attempt++ {
		res, err := s.db.ExecContext(ctx, "UPDATE refrain_live SET lease = "+nowSQL+" + ? WHERE id = ? AND token = ? AND state = 1",
			int64(r.Lease/time.Microsecond), r.ID[:], r.Token[:])
		switch {
		case transient(err) && attempt < retries:
			continue
		case err != nil:
			return unavailable(err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return refrain.ErrStale
		}
		return nil
	}
}
