package mysqlstore

import (
	"context"

	"github.com/refrain-dev/refrain"
)

// A transition says what becomes of what was found, as the Apply methods do.
type transition func(f *found) (next refrain.Record, written bool, err error)

// A changed is what came of a transition.
type changed struct {
	found *found // what it was decided on
	next  refrain.Record
	lost  bool // an answer was lost on the way: it may be that the transition had been made before it was decided on
}

// maxLost is how many answers may be lost before the server counts as gone.
const maxLost = 2

// change makes one transition by itself: it looks, decides, and writes if what it saw still holds, until it does. If f is not
// nil, it is what was seen already. Whatever is sent twice recognises itself by its token.
//
// lost says that an answer was lost before already.
func (s *Store) change(ctx context.Context, id refrain.ID, f *found, lost bool, decide transition) (c changed, err error) {
	c.lost = lost
	ctx, cancel := s.bound(ctx)
	defer cancel()
	faults := 0
	for {
		if ctx.Err() != nil {
			return c, gone(ctx)
		}
		if f == nil {
			f, err = s.readOne(ctx, id)
		}
		var written bool
		if err == nil {
			c.found = f
			if c.next, written, err = decide(f); err != nil {
				return c, err
			}
			if !written {
				return c, s.flushed(ctx, f)
			}
			written, err = s.write(ctx, f, &c.next)
		}
		switch n := number(err); {
		case err == nil && written:
			return c, nil
		case n == errNoPartition: // it is not there any more, or was not when its server was another
			if err := s.parts.load(ctx); err != nil {
				return c, unavailable(err)
			}
		case err == nil, transient(err), n == errDuplicate: // somebody else was quicker
		case n != 0:
			return c, unavailable(err)
		default:
			c.lost = true
			if faults++; faults > maxLost || unreachable(err) {
				return c, unavailable(err)
			}
		}
		f, err = nil, nil
	}
}

func (s *Store) readOne(ctx context.Context, id refrain.ID) (*found, error) {
	list, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// write makes what was found into next, and reports whether it was still there. It is one transaction in one round trip.
func (s *Store) write(ctx context.Context, f *found, next *refrain.Record) (written bool, err error) {
	switch {
	case next.State != refrain.StateRunning:
		return s.run(ctx, s.moveFor(ctx, f, next))
	case f.live == nil:
		return s.writeNew(ctx, f, next)
	}
	return s.writeClaim(ctx, f, next)
}

// writeNew claims what is absent and has left no row.
func (s *Store) writeNew(ctx context.Context, f *found, next *refrain.Record) (bool, error) {
	r := &request{claim: &refrain.Claim{
		ID: f.id, Token: next.Token, Fingerprint: next.Fingerprint, Lease: next.Lease.Sub(f.now),
	}}
	err := s.commit(ctx, &group{claims: []*request{r}})
	if r.done {
		*next = r.record
	}
	return r.done, err
}

// sameLive is the condition that the row of refrain_live is the one that was found.
const sameLive = "id = ? AND fence = ? AND state = ? AND lease = ?"

func (f *found) sameLive() []any {
	return []any{f.id[:], f.live.record.Fence, f.live.state, column(f.live.record.Lease)}
}

// writeClaim takes over what is unknown, or what was released. The new fence must be greater than the old one, also if it was
// drawn before that.
func (s *Store) writeClaim(ctx context.Context, f *found, next *refrain.Record) (bool, error) {
	var n, fence int64
	err := s.db.QueryRowContext(ctx, "START TRANSACTION;\n"+drawFence+`
UPDATE refrain_live SET state = 1, token = ?, fence = @refrain_fence, fingerprint = ?, created = ?, lease = ?, answer = NULL
WHERE `+sameLive+` AND fence < @refrain_fence;
SET @refrain_n = ROW_COUNT();
COMMIT;
SELECT @refrain_n, @refrain_fence`,
		append([]any{next.Token[:], next.Fingerprint[:], column(next.Created), column(next.Lease)}, f.sameLive()...)...,
	).Scan(&n, &fence)
	next.Fence = uint64(fence)
	return n == 1, err
}
