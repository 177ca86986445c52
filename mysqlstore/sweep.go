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

// sweepOnce removes what is over, unless another process is at it.
func (s *Store) sweepOnce(ctx context.Context) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	const name = "CONCAT('refrain sweep ', MD5(DATABASE()))"
	var got sql.NullInt64
	var us int64
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+name+", 0), "+nowSQL).Scan(&got, &us); err != nil {
		return err
	}
	if got.Int64 != 1 {
		return nil
	}
	defer func() { _, _ = conn.ExecContext(ctx, "DO RELEASE_LOCK("+name+")") }()
	now := at(us)
	s.clock.saw(now)
	if err := s.parts.drop(ctx, now); err != nil {
		return err
	}
	return s.sweepRows(ctx, conn, now.Add(-s.cfg.Grace))
}

// A rowSweep finds and deletes what no partition takes along. It is found without locks, and only what is deleted is locked.
type rowSweep struct {
	find    string // the ID and the fence
	deletes []string
}

var rowSweeps = []rowSweep{
	{
		"SELECT id, fence FROM refrain_live WHERE state = 0 AND lease < ? LIMIT 500",
		[]string{"DELETE FROM refrain_live WHERE id = ? AND fence = ? AND state = 0"},
	},
	{
		"SELECT id, fence FROM refrain_done WHERE bucket = 0 AND forget < ? LIMIT 500",
		[]string{
			`DELETE o FROM refrain_done d JOIN refrain_outcomes o ON o.fence = d.fence AND o.bucket = d.kept
WHERE d.bucket = 0 AND d.id = ? AND d.fence = ? AND o.bucket = 0`,
			"DELETE FROM refrain_done WHERE bucket = 0 AND id = ? AND fence = ?",
		},
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
		keys, err := keysOf(ctx, conn, sweep.find, column(before))
		if err != nil {
			return err
		}
		for _, k := range keys {
			for _, query := range sweep.deletes {
				if _, err := conn.ExecContext(ctx, query, k[0], k[1]); err != nil && !transient(err) {
					return err
				}
			}
		}
	}
	return nil
}

func keysOf(ctx context.Context, conn *sql.Conn, query string, before int64) (keys [][2]any, err error) {
	rows, err := conn.QueryContext(ctx, query, before)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var k [2]any
		if err := rows.Scan(&k[0], &k[1]); err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, rows.Err()
}
