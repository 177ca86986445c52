package mysqlstore

import (
	"context"
	"database/sql"
	"time"
)

// sweep sees to the partitions, to what has to go row by row, and to the audit, until the store closes. All processes try; the
// server lets one at a time do it.
func (s *Store) sweep() {
	tick := min(s.cfg.Partition/4, time.Minute)
	ticker := time.NewTicker(max(tick, 50*time.Millisecond))
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-s.life.Done():
			return
		case <-ticker.C:
		}
		ctx, cancel := s.bound(s.life)
		s.parts.ahead(ctx, 3*tick)
		if err := s.sweepOnce(ctx); err != nil && s.life.Err() == nil {
			s.log.Warn("sweeping was in vain, and will be tried again", "err", unavailable(err))
		}
		if n%5 == 0 {
			_, _ = s.audit(ctx) // whoever cannot look now keeps what was seen last
		}
		cancel()
	}
}

// sweepLock names the lock of whoever sweeps: one process at a time in each database.
const sweepLock = "CONCAT('refrain sweep ', MD5(DATABASE()))"

// sweepOnce removes what is over, unless another process is at it.
func (s *Store) sweepOnce(ctx context.Context) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var got sql.NullInt64
	var us int64
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+sweepLock+", 0), "+nowSQL).Scan(&got, &us); err != nil {
		return err
	}
	if got.Int64 != 1 {
		return nil
	}
	defer release(ctx, conn, "DO RELEASE_LOCK("+sweepLock+")")
	now := at(us)
	s.clock.saw(now)
	if err := s.parts.drop(ctx, now); err != nil {
		return err
	}
	return s.sweepRows(ctx, conn, now.Add(-s.cfg.Grace))
}

// release gives a lock of the connection's back, also when the time is up. Where that fails the connection is closed, for in the
// pool it would keep the lock.
func release(ctx context.Context, conn *sql.Conn, query string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := conn.ExecContext(ctx, query); err != nil {
		_ = conn.Raw(func(any) error { return errBroken })
	}
}

// sweepMost is how many rows go at a time: their locks are held while they do.
const sweepMost = 500

// A rowSweep finds and deletes what no partition takes along. It is found without locks, and only what is deleted is locked.
type rowSweep struct {
	find    string // the IDs of what was over before a time
	deletes string // what was, of those IDs
}

var rowSweeps = []rowSweep{
	{
		"SELECT id FROM refrain_live WHERE state = 0 AND lease < ? LIMIT ?",
		"DELETE l FROM refrain_live l FORCE INDEX (PRIMARY) WHERE l.state = 0 AND l.lease < ? AND l.id IN (",
	},
	{
		"SELECT id FROM refrain_done WHERE bucket = 0 AND forget < ? LIMIT ?",
		`DELETE d, o FROM refrain_done d FORCE INDEX (PRIMARY)
	LEFT JOIN refrain_outcomes o ON o.fence = d.fence AND o.bucket = d.kept AND o.bucket = 0
WHERE d.bucket = 0 AND d.forget < ? AND d.id IN (`,
	},
}

func (s *Store) sweepRows(ctx context.Context, conn *sql.Conn, before time.Time) error {
	var newest uint64
	if err := conn.QueryRowContext(ctx, "SELECT COALESCE(MAX(n), 0) FROM refrain_fences").Scan(&newest); err != nil {
		return err
	}
	const drawn = "DELETE f FROM refrain_fences f FORCE INDEX (PRIMARY) WHERE n <= ?"
	if _, err := conn.ExecContext(ctx, drawn, newest); err != nil && !transient(err) {
		return err
	}
	for _, sweep := range rowSweeps {
		for found := sweepMost; found == sweepMost; {
			ids, err := idsOf(ctx, conn, sweep.find, column(before), sweepMost)
			if err != nil {
				return err
			}
			if found = len(ids); found == 0 {
				break
			}
			args := append([]any{column(before)}, ids...)
			if _, err := conn.ExecContext(ctx, sweep.deletes+marks(found)+")", args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func idsOf(ctx context.Context, conn *sql.Conn, query string, args ...any) (ids []any, err error) {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
