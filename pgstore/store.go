package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/refrain-dev/refrain"
)

// Claim implements refrain.Store.
func (s *Store) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	c.Lease = countable(c.Lease)
	r := newRequest(c.ID)
	r.claim = &c
	if err := s.do(ctx, r); err != nil {
		return refrain.Decision{}, fmt.Errorf("claiming %v: %w", c.ID, err)
	}
	return r.decision, nil
}

// Settle implements refrain.Store.
func (s *Store) Settle(ctx context.Context, e refrain.Settlement) (refrain.Record, error) {
	count(&e)
	r := newRequest(e.ID)
	r.settlement = &e
	if err := s.do(ctx, r); err != nil {
		return refrain.Record{}, fmt.Errorf("settling %v: %w", e.ID, err)
	}
	return r.record, nil
}

// longest is the longest time that the database counts exactly: 285 years.
const longest = 1 << 53 * time.Microsecond

// countable returns the time as the database counts it.
func countable(d time.Duration) time.Duration { return min(d, longest).Truncate(time.Microsecond) }

// count makes the settlement's times such as the database counts, together too.
func count(e *refrain.Settlement) {
	e.Retention = countable(e.Retention)
	e.Tombstone = min(countable(e.Tombstone), longest-max(e.Retention, 0))
}

// Renew implements refrain.Store.
func (s *Store) Renew(ctx context.Context, n refrain.Renewal) error {
	n.Lease = countable(n.Lease)
	r := newRequest(n.ID)
	r.renewal = &n
	if err := s.do(ctx, r); err != nil {
		return fmt.Errorf("renewing %v: %w", n.ID, err)
	}
	return nil
}

// Get implements refrain.Store.
func (s *Store) Get(ctx context.Context, id refrain.ID) (refrain.Record, error) {
	var seen sighting
	err := s.retry(ctx, func() (err error) {
		seen, err = s.find(ctx, id)
		return err
	})
	if err != nil {
		return refrain.Record{}, fmt.Errorf("reading %v: %w", id, err)
	}
	return seen.record().At(seen.at), nil
}

func (s *Store) find(ctx context.Context, id refrain.ID) (seen sighting, err error) {
	conn, release, err := s.reader(ctx)
	if err != nil {
		return seen, err
	}
	defer release()
	p := s.finds(&id)
	res := conn.PgConn().ExecParams(ctx, s.calls.find, p.values, p.oids, p.formats(), binaryFormat)
	for res.NextRow() {
		seen.decode(res.Values()[0])
	}
	_, err = res.Close()
	if err == nil && seen.n == 0 { // of what nobody knows there is a row, too
		err = errNonsense
	}
	return seen, s.fault(err)
}

// finds are the parameters of find.
func (s *Store) finds(id *refrain.ID) (p params) {
	p.add(oidUUID, s.name[:])
	p.add(oidBytea, id[:])
	return p
}
