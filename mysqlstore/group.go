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
	// errUnsent says that there was no connection to send anything on.
	errUnsent = errors.New("no connection")
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
				r.lost = number(err) == 0 && !errors.Is(err, errUnsent)
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

// commit runs the group's transaction. The finishes are done then, and those of the claims that were won.
func (s *Store) commit(ctx context.Context, g *group) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return errors.Join(errUnsent, err)
	}
	defer conn.Close()
	careful := s.contended.Load()
	query, args := g.statements(careful)
	var now, fence, won, moved int64
	var mine sql.NullString
	if err := conn.QueryRowContext(ctx, query, args...).Scan(&now, &fence, &won, &moved, &mine); err != nil {
		return errors.Join(err, abandon(ctx, conn))
	}
	if int(moved) != len(g.finishes) {
		return errors.Join(errUnmoved, abandon(ctx, conn))
	}
	if contended := int(won) < len(g.claims); contended && !careful {
		s.contended.Store(true)
		if err := abandon(ctx, conn); err != nil {
			return errors.Join(errUnsent, err)
		}
		_ = conn.Close()
		return s.commit(ctx, g)
	} else if careful && !contended {
		s.contended.Store(false)
	}
	s.clock.saw(at(now))
	for _, r := range g.finishes {
		r.finished(at(now))
	}
	if int(won) == len(g.claims) {
		for i, r := range g.claims {
			r.won(uint64(fence)+uint64(i), at(now))
		}
		return nil
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

// The statements of a group.
const (
	beginGroup = `START TRANSACTION;
SET @refrain_now = ` + nowSQL + `, @refrain_fence = 0, @refrain_won = 0, @refrain_undone = 0, @refrain_mine = NULL,
	@refrain_moved = 0;
`
	// drawFence makes room for a thousand fences that are greater than any that was drawn before. It leaves no row.
	drawFence = `INSERT INTO refrain_fences () VALUES ();
SET @refrain_fence = LAST_INSERT_ID() * 1024;
DELETE f FROM refrain_fences f FORCE INDEX (PRIMARY) WHERE n = LAST_INSERT_ID();`

	// drawGroup is the same for a group, and leaves a row for the sweep. The fewer statements a group has, the less its requests
	// cost: so results are taken along by the next statement that has to be made anyway.
	drawGroup = "INSERT INTO refrain_fences () VALUES ();"

	// insertClaims adds what is not there. It does not wait for the locks of rows that others can see, such as one that is
	// being finished in a caller's transaction.
	insertClaims = `
INSERT IGNORE INTO refrain_live (id, state, token, fence, fingerprint, created, lease)
SELECT STRAIGHT_JOIN r.id, 1, r.token, LAST_INSERT_ID() * 1024 + r.n, r.fingerprint, @refrain_now, @refrain_now + r.lease
FROM (SELECT ? AS id, ? AS token, ? AS fingerprint, ? AS n, ? AS lease`
	oneClaim     = " UNION ALL SELECT ?, ?, ?, ?, ?"
	insertedTail = `) r LEFT JOIN refrain_live l ON l.id = r.id WHERE l.id IS NULL;
`
	// undoClaims takes back the claims of what is done, now that nobody else can finish it meanwhile, and those whose fence was
	// overtaken. Only rows of this transaction are locked: who they are is found without locks.
	undoClaims = `SELECT ROW_COUNT(), LAST_INSERT_ID() * 1024, COUNT(DISTINCT l.id), IF(COUNT(*) = 0, 'DO 0',
	CONCAT('DELETE l FROM refrain_live l FORCE INDEX (PRIMARY) WHERE id IN (', GROUP_CONCAT('x''', HEX(l.id), ''''), ')'))
FROM refrain_done d STRAIGHT_JOIN refrain_live l ON l.id = d.id
WHERE d.id IN (`
	undoneTail = `) AND (d.forget > @refrain_now OR d.fence > l.fence)
	AND l.fence >= LAST_INSERT_ID() * 1024 AND l.fence < LAST_INSERT_ID() * 1024 + 1024
INTO @refrain_won, @refrain_fence, @refrain_undone, @refrain_do;
PREPARE refrain_do FROM @refrain_do;
EXECUTE refrain_do;
`
	// whoWon says which of the claims were won, unless all were.
	whoWon     = `SELECT IF(@refrain_won - @refrain_undone = `
	whoWonOf   = `, NULL, (SELECT GROUP_CONCAT(fence - @refrain_fence) FROM refrain_live WHERE id IN (`
	whoWonTail = `)
	AND fence >= @refrain_fence AND fence < @refrain_fence + 1024)) INTO @refrain_mine;
`
	endGroup = `SELECT @refrain_now, @refrain_fence, @refrain_won - @refrain_undone, @refrain_moved, @refrain_mine`
)

// statements returns the transaction as one text. It commits if all finishes found their claims, and otherwise stays open. If it
// is not careful, all claims must be won too, and it does not say which were: that takes time, and is seldom asked.
func (g *group) statements(careful bool) (string, []any) {
	var q strings.Builder
	var args []any
	q.WriteString(beginGroup)
	if len(g.claims) > 0 {
		args = g.claimStatements(&q, args, careful)
	}
	if len(g.finishes) > 0 {
		args = g.finishStatements(&q, args)
		q.WriteString("SET @refrain_moved = ROW_COUNT();\n")
	}
	if careful && len(g.finishes) == 0 {
		q.WriteString("COMMIT;\n")
	} else {
		q.WriteString("SET @refrain_do = IF(@refrain_moved = " + strconv.Itoa(len(g.finishes)))
		if !careful {
			q.WriteString(" AND @refrain_won - @refrain_undone = " + strconv.Itoa(len(g.claims)))
		}
		q.WriteString(", 'COMMIT', 'DO 0');\nPREPARE refrain_do FROM @refrain_do;\nEXECUTE refrain_do;\n")
	}
	q.WriteString(endGroup)
	return q.String(), args
}

func (g *group) claimStatements(q *strings.Builder, args []any, careful bool) []any {
	q.WriteString(drawGroup + insertClaims + strings.Repeat(oneClaim, len(g.claims)-1) + insertedTail)
	for i, r := range g.claims {
		args = append(args, r.claim.ID[:], r.claim.Token[:], r.claim.Fingerprint[:], i, us(r.claim.Lease))
	}
	n := len(g.claims)
	q.WriteString(undoClaims + marks(n) + undoneTail)
	lists := 1
	if careful {
		q.WriteString(whoWon + strconv.Itoa(n) + whoWonOf + marks(n) + whoWonTail)
		lists = 2
	}
	for range lists {
		for _, r := range g.claims {
			args = append(args, r.claim.ID[:])
		}
	}
	return args
}

// finishStatements move claims to where what is done is kept, and put their outcomes beside them.
func (g *group) finishStatements(q *strings.Builder, args []any) []any {
	plans := make(map[plan][]*request)
	for _, r := range g.finishes {
		plans[r.plan] = append(plans[r.plan], r)
	}
	for p, list := range plans {
		q.WriteString("SET @refrain_kept = " + p.kept + ";\n" +
			"INSERT INTO refrain_done (id, bucket, fence, token, fingerprint, created, settled, retain, forget, kept)\n" +
			"SELECT id, " + p.done + ", fence, token, fingerprint, created, @refrain_now, @refrain_now + " + decimal(p.retention) +
			", @refrain_now + " + decimal(p.life) + ", @refrain_kept FROM refrain_live FORCE INDEX (PRIMARY)\nWHERE ")
		args = whose(q, args, list)
		q.WriteString(" AND state <> 0 FOR UPDATE;\n" +
			"INSERT INTO refrain_outcomes (fence, bucket, record) VALUES ")
		for i, r := range list {
			if i > 0 {
				q.WriteString(", ")
			}
			q.WriteString("(?, @refrain_kept, ?)")
			done := r.record
			done.State, done.Outcome = refrain.StateDone, r.settle.Outcome
			args = append(args, done.Fence, stored(r.settle.ID, &done))
		}
		q.WriteString(";\n")
	}
	q.WriteString("DELETE l FROM refrain_live l FORCE INDEX (PRIMARY) WHERE ")
	args = whose(q, args, g.finishes)
	q.WriteString(" AND state <> 0;\n") // the same rows, for they are locked
	return args
}

// whose writes the condition for the requests' claims. A fence is of one claim. The index must be forced where this is used: a
// small table would be searched from end to end, with the locks of others in the way.
func whose(q *strings.Builder, args []any, list []*request) []any {
	q.WriteString("id IN (" + marks(len(list)) + ") AND fence IN (" + marks(len(list)) + ")")
	for _, r := range list {
		args = append(args, r.settle.ID[:])
	}
	for _, r := range list {
		args = append(args, r.record.Fence)
	}
	return args
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
