package mysqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/refrain-dev/refrain"
)

// A group is requests that share one transaction and one round trip.
type group struct {
	claims   []*request // in the order of their IDs, as all who lock rows do
	finishes []*request
}

// newGroup sorts the requests. Of finishes of the same claim it takes one: the others look what it did.
func newGroup(requests []*request) *group {
	g := &group{}
	fences := make(map[uint64]bool)
	for _, r := range requests {
		switch {
		case r.claim != nil:
			g.claims = append(g.claims, r)
		case !fences[r.record.Fence]:
			fences[r.record.Fence] = true
			g.finishes = append(g.finishes, r)
		}
	}
	for _, list := range [][]*request{g.claims, g.finishes} {
		slices.SortStableFunc(list, func(a, b *request) int {
			x, y := a.id(), b.id()
			return bytes.Compare(x[:], y[:])
		})
	}
	return g
}

func (r *request) id() refrain.ID {
	if r.claim != nil {
		return r.claim.ID
	}
	return r.settle.ID
}

var (
	// errUnmoved says that not all of a group's finishes found their claim. Nothing of the group was committed.
	errUnmoved = errors.New("not all claims are there that were to be finished")
	// errBroken ends a connection.
	errBroken = driver.ErrBadConn
)

// retries is how often a transaction is tried again that the server has taken back, before each of its requests goes its own
// way.
const retries = 5

// work commits the requests together. Those that are not done then are left to their callers.
func (s *Store) work(requests []*request) {
	ctx, cancel := s.bound(s.life)
	defer cancel()
	g := newGroup(requests)
	for attempt := 0; len(g.claims)+len(g.finishes) > 0; attempt++ {
		err := s.commit(ctx, g)
		switch {
		case err == nil:
			s.see(ctx, g.claims)
			return
		case (transient(err) || errors.Is(err, driver.ErrBadConn)) && attempt < retries: // nothing was made
		case (number(err) != 0 || errors.Is(err, errUnmoved)) && len(g.finishes) > 0:
			g.finishes = nil // it was one of them, most likely
		default:
			for _, r := range requests {
				r.lost = number(err) == 0 && !errors.Is(err, errUnmoved) && !unreachable(err)
			}
			return
		}
	}
}

// see looks what is there of the claims that were not won.
func (s *Store) see(ctx context.Context, claims []*request) {
	claims = slices.DeleteFunc(slices.Clone(claims), func(r *request) bool { return r.done })
	for some := range slices.Chunk(claims, 64) {
		ids := make([]refrain.ID, len(some))
		for i, r := range some {
			ids[i] = r.claim.ID
		}
		list, err := s.read(ctx, ids...)
		if err != nil {
			return
		}
		for i, r := range some {
			r.found = list[i]
		}
	}
}

// callGroup is the procedure that runs a group's transaction, in the schema.
const callGroup = "CALL refrain_group(?, ?, ?)"

// commit runs the group's transaction. The finishes are done then, and those of the claims that were won.
func (s *Store) commit(ctx context.Context, g *group) error {
	var now, fence, won, moved int64
	var mine sql.NullString
	finishes, records := packFinishes(g.finishes)
	row := s.group.QueryRowContext(ctx, packClaims(g.claims), finishes, records)
	if err := row.Scan(&now, &fence, &won, &moved, &mine); err != nil {
		return err
	}
	if int(moved) != len(g.finishes) {
		return errUnmoved
	}
	s.clock.saw(at(now))
	for _, r := range g.finishes {
		r.finished(at(now))
	}
	for i, r := range g.claims {
		if int(won) == len(g.claims) {
			r.won(uint64(fence)+uint64(i), at(now))
		}
	}
	for n := range strings.SplitSeq(mine.String, ",") {
		if i, err := strconv.Atoi(n); err == nil && i < len(g.claims) {
			g.claims[i].won(uint64(fence)+uint64(i), at(now))
		}
	}
	return nil
}

// abandon takes back what was not committed. A connection on which that fails is closed, which has the same effect.
func abandon(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		_ = conn.Raw(func(any) error { return errBroken })
		return err
	}
	return nil
}

// drawFence makes room for a thousand fences that are greater than any that was drawn before. It leaves no row.
const drawFence = `INSERT INTO refrain_fences () VALUES ();
SET @refrain_fence = LAST_INSERT_ID() * 1024;
DELETE f FROM refrain_fences f FORCE INDEX (PRIMARY) WHERE n = LAST_INSERT_ID();`
