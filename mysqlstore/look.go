package mysqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/refrain-dev/refrain"
)

// lookHead and lookTail are the statement that reads operations, one snapshot of both tables, and the one that reads the time
// after it. Between them, twice, stand the operations.
const (
	lookLive = `SELECT 0, id, state, token, fence, fingerprint, created, lease, 0, 0, 0, 0, 0, answer
FROM refrain_live WHERE id IN (`
	lookDone = `) UNION ALL SELECT 1, d.id, 3, d.token, d.fence, d.fingerprint, d.created, 0, d.settled, d.retain, d.forget,
	d.bucket, d.kept, o.record
FROM refrain_done d LEFT JOIN refrain_outcomes o ON o.fence = d.fence AND o.bucket = d.kept WHERE d.id IN (`
	lookTime = `); SELECT ` + nowSQL
)

// marks returns n question marks with commas between them.
func marks(n int) string { return strings.Repeat("?, ", n-1) + "?" }

// read returns what the tables have of the operations. All were so at one moment.
func (s *Store) read(ctx context.Context, ids ...refrain.ID) ([]*found, error) {
	args := make([]any, 0, 2*len(ids))
	for range 2 {
		for i := range ids {
			args = append(args, ids[i][:])
		}
	}
	m := marks(len(ids))
	rows, err := s.db.QueryContext(ctx, lookLive+m+lookDone+m+lookTime, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	all := make(map[refrain.ID][]*row, len(ids))
	for rows.Next() {
		r := &row{}
		id, err := r.scan(rows)
		if err != nil {
			return nil, unavailable(err)
		}
		all[id] = append(all[id], r)
	}
	now, err := nextTime(rows)
	if err != nil {
		return nil, unavailable(err)
	}
	s.clock.saw(now)
	list := make([]*found, len(ids))
	for i, id := range ids {
		list[i] = &found{id: id, now: now}
		for _, r := range all[id] {
			list[i].add(r)
		}
	}
	return list, nil
}

// nextTime reads the server's time, which is the next result.
func nextTime(rows *sql.Rows) (time.Time, error) {
	if err := rows.Err(); err != nil {
		return time.Time{}, err
	}
	if !rows.NextResultSet() || !rows.Next() {
		return time.Time{}, errors.Join(rows.Err(), errors.New("the server did not say what time it is"))
	}
	var us int64
	if err := rows.Scan(&us); err != nil {
		return time.Time{}, err
	}
	return at(us), rows.Close()
}

// Get implements refrain.Store.
func (s *Store) Get(ctx context.Context, id refrain.ID) (refrain.Record, error) {
	r, err := s.get(ctx, id)
	return r, wrap("reading", id, err)
}

func (s *Store) get(ctx context.Context, id refrain.ID) (refrain.Record, error) {
	if err := s.enter(); err != nil {
		return refrain.Record{}, err
	}
	defer s.leave()
	ctx, cancel := s.bound(ctx)
	defer cancel()
	list, err := s.read(ctx, id)
	if err != nil {
		return refrain.Record{}, err
	}
	if err := s.flushed(ctx, list[0]); err != nil {
		return refrain.Record{}, err
	}
	return list[0].record(), nil
}

// bound returns a context for what is sent to the server: it ends with the caller's, with the store, and at the timeout.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	stop := context.AfterFunc(s.life, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// recent is how long the disk may take, at most, to have what was committed.
const recent = time.Minute

// flushed returns when an outcome is on the disk. Without a binary log InnoDB shows a commit to others before it is: so what
// was settled a moment ago waits for a commit that comes after it, which flushes both.
func (s *Store) flushed(ctx context.Context, f *found) error {
	r := f.current()
	if r == nil || !r.done || s.settings.Load().logged() || f.now.Sub(r.settled) > recent {
		return nil
	}
	_, err := s.db.ExecContext(ctx, "START TRANSACTION; "+drawFence+" COMMIT")
	return unavailable(err)
}
