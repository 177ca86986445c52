package pgstore

import (
	"context"
	"fmt"

	"github.com/refrain-dev/refrain"
)

// listQuery lists a page of the operations in a state, zero for any, from an ID on, without outcomes.
const listQuery = `SELECT live, token, fence, fingerprint, created, lease, retain, forget, at, id
FROM %s, (SELECT %s() AS at) AS now
WHERE (SELECT seen FROM %s) AND id >= $1 AND forget > at AND $2 IN (0, CASE
	WHEN live AND lease > at THEN 1 WHEN live THEN 2 WHEN retain > at THEN 3 ELSE 4 END)
ORDER BY id LIMIT $3`

// List implements refrain.Lister.
func (s *Store) List(ctx context.Context, q refrain.ListQuery) ([]refrain.Listed, error) {
	var page []refrain.Listed
	err := s.retry(ctx, func() (err error) {
		page, err = s.list(ctx, q)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing: %w", err)
	}
	return page, nil
}

func (s *Store) list(ctx context.Context, q refrain.ListQuery) (page []refrain.Listed, err error) {
	if q.Limit == 0 {
		q.Limit = 100
	}
	conn, release, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	var p params
	p.add(oidBytea, q.From[:])
	p.add(oidInt, bigEndian(int32(q.State)))
	p.add(oidInt, bigEndian(int32(q.Limit)))
	rows := conn.PgConn().ExecParams(ctx, s.calls.list, p.values, p.oids, p.formats(), binaryFormat)
	for rows.NextRow() {
		v := rows.Values()
		var seen sighting
		seen.decodeRecord(v)
		l := refrain.Listed{Record: seen.record().At(moment(v[8]))}
		copy(l.ID[:], v[9])
		page = append(page, l)
	}
	_, err = rows.Close()
	return page, s.fault(err)
}
