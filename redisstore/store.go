package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/refrain-dev/refrain"
)

// Claim implements refrain.Store.
func (s *Store) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	d, err := s.claim(ctx, &c)
	if err != nil {
		return refrain.Decision{}, fmt.Errorf("claiming %s: %w", c.ID, s.describe(err))
	}
	return d, nil
}

func (s *Store) claim(ctx context.Context, c *refrain.Claim) (refrain.Decision, error) {
	rerun := "0"
	if c.Rerun {
		rerun = "1"
	}
	a, err := s.run(ctx, &claimScript, &c.ID, text(c.Token[:]), text(c.Fingerprint[:]), micros(c.Lease), rerun)
	if err != nil {
		return refrain.Decision{}, err
	}
	if fence := a.code; fence != 0 {
		d, _ := c.Apply(refrain.Record{}, a.now, uint64(fence))
		return d, nil
	}
	cur := a.record(&c.ID)
	d, written := c.Apply(cur, a.now, 0)
	if written {
		return d, errors.New("the server did not claim what this program thinks that it should have")
	}
	return d, nil
}

// What the script of settlements answers.
const (
	settleKept    = 0
	settleWritten = 1
	settleRemoved = 2
	settleStale   = 3
)

// Settle implements refrain.Store.
func (s *Store) Settle(ctx context.Context, e refrain.Settlement) (refrain.Record, error) {
	r, err := s.settle(ctx, &e)
	if err != nil {
		return refrain.Record{}, fmt.Errorf("settling %s: %w", e.ID, s.describe(err))
	}
	return r, nil
}

func (s *Store) settle(ctx context.Context, e *refrain.Settlement) (refrain.Record, error) {
	instead, owner := "", e.Token
	if e.Instead != (refrain.Token{}) {
		instead = text(e.Instead[:])
		if e.Ending == refrain.Finished {
			owner = e.Instead // whose the outcome is from then on
		}
	}
	var outcome string
	if e.Outcome != nil || e.Ending == refrain.Finished {
		outcome = rueidis.BinaryString(encodeOutcome(&e.ID, &owner, e.Outcome))
	}
	a, err := s.run(ctx, &settleScript, &e.ID, text(e.Token[:]), strconv.Itoa(int(e.Ending)), instead,
		micros(e.Retention), micros(e.Tombstone), outcome)
	if err != nil {
		return refrain.Record{}, err
	}
	switch a.code {
	case settleStale:
		return refrain.Record{}, refrain.ErrStale
	case settleRemoved:
		return refrain.Record{}, nil
	case settleWritten:
		r, _, ok := decodeRecord(a.key, a.head)
		if !ok {
			return refrain.Record{}, errNonsense
		}
		r.Outcome = e.Outcome
		return r, nil
	}
	return a.record(&e.ID).At(a.now), nil
}

// Renew implements refrain.Store.
func (s *Store) Renew(ctx context.Context, r refrain.Renewal) error {
	a, err := s.run(ctx, &renewScript, &r.ID, text(r.Token[:]), micros(r.Lease))
	if err == nil && a.code == 0 {
		err = refrain.ErrStale
	}
	if err != nil {
		return fmt.Errorf("renewing %s: %w", r.ID, s.describe(err))
	}
	return nil
}

// Get implements refrain.Store.
func (s *Store) Get(ctx context.Context, id refrain.ID) (refrain.Record, error) {
	a, err := s.run(ctx, &getScript, &id)
	if err != nil {
		return refrain.Record{}, fmt.Errorf("reading %s: %w", id, s.describe(err))
	}
	return a.record(&id).At(a.now), nil
}

// text returns bytes as a string.
func text(b []byte) string { return string(b) }

// longest is about as long as the scripts can add to a time of today without rounding.
const longest = 200 * 365 * 24 * time.Hour

// micros returns a duration as the scripts want it.
func micros(d time.Duration) string {
	return strconv.FormatInt(min(max(d, -longest/10), longest).Microseconds(), 10)
}
