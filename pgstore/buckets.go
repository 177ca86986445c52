package pgstore

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/refrain-dev/refrain"
)

const (
	keepEvery = 10 * time.Second
	sweepMost = 5000 // rows at a time
	churnMost = 1000 // operations that end, until the rows that they left in live are cleared away
)

// buckets see to it that what is done finds its bucket, and that old ones are dropped. Every process on the database does so: one
// is enough, and several do not disturb each other.
type buckets struct {
	store *Store
	wake  chan struct{} // of one slot: there is something to do at once

	mu     sync.Mutex
	wanted map[bucket]span // that were used since all was tended to
	churn  int
}

// A bucket is a kind of partition and a width of it.
type bucket struct {
	of    string // the table
	width int16  // seconds, as a power of two
}

// A span is the lifetimes that share a width: the shortest and the longest.
type span struct{ from, to time.Duration }

func newBuckets(s *Store) *buckets {
	return &buckets{store: s, wake: make(chan struct{}, 1), wanted: make(map[bucket]span)}
}

// widthFor returns the width of the buckets for what lives so long: that is at most what a bucket is dropped too late.
func widthFor(lifetime time.Duration) (width int16) {
	width = 4 // for half a minute and less
	for lifetime>>width >= 2*time.Second {
		width++
	}
	return width
}

// note learns from a settlement which buckets are needed.
func (b *buckets) note(e *refrain.Settlement, seen *sighting) {
	if e == nil || !seen.written {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.churn++
	b.want("done", e.Retention+e.Tombstone)
	b.want("outcome", e.Retention)
	if seen.misses {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

func (b *buckets) want(of string, lifetime time.Duration) {
	if lifetime > 0 {
		k := bucket{of, widthFor(lifetime)}
		s, ok := b.wanted[k]
		if !ok {
			s.from = lifetime
		}
		b.wanted[k] = span{min(s.from, lifetime), max(s.to, lifetime)}
	}
}

// keep works until the store closes.
func (b *buckets) keep() {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-b.store.closing.Done():
			return
		case <-b.wake:
			b.report("opening buckets", b.open(b.store.closing))
		case <-tick.C:
			b.report("keeping buckets", b.tend(b.store.closing))
		}
	}
}

func (b *buckets) report(what string, err error) {
	if err != nil && b.store.closing.Err() == nil {
		b.store.cfg.Logger.Warn("buckets not kept, will retry", "doing", what, "err", err)
	}
}

// tend does all that is due. A user that may not make or drop buckets can still sweep.
func (b *buckets) tend(ctx context.Context) error {
	opened := b.open(ctx)
	b.mu.Lock()
	clear(b.wanted)
	b.mu.Unlock()
	return errors.Join(opened, b.drop(ctx), b.sweep(ctx), b.vacuum(ctx))
}

// open makes the buckets for what ends now and soon.
func (b *buckets) open(ctx context.Context) error {
	b.mu.Lock()
	wanted := maps.Clone(b.wanted)
	b.mu.Unlock()
	for k, used := range wanted {
		ahead := max(2*keepEvery, time.Second<<k.width/8)
		if err := b.exec(ctx, `SELECT open_bucket($1, number)
			FROM (SELECT us(clock()) AS now) AS one, generate_series(bucket_at($2, now + $3), bucket_at($2, now + $4)) AS number
			WHERE NOT EXISTS (SELECT FROM bucket b WHERE b.of = $1 AND b.bucket = number)`,
			k.of, int64(k.width), used.from.Microseconds(), used.to.Microseconds()+ahead.Microseconds()); err != nil {
			return err
		}
	}
	return nil
}

// drop drops the buckets in which all is over.
func (b *buckets) drop(ctx context.Context) error {
	conn, release, err := b.store.reader(ctx)
	if err != nil {
		return err
	}
	defer release()
	rows, err := conn.Query(ctx, "SELECT of, bucket FROM "+b.store.in("bucket")+
		" WHERE ends < "+b.store.in("clock")+"() - interval '10 seconds'")
	if err != nil {
		return err
	}
	type over struct {
		Of     string
		Bucket int64
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[over])
	for _, o := range all {
		if _, err = conn.Exec(ctx, "SELECT "+b.store.in("close_bucket")+"($1, $2)", o.Of, o.Bucket); err != nil {
			return err
		}
	}
	return err
}

// sweep deletes what is over in bucket 0, a few rows at a time.
func (b *buckets) sweep(ctx context.Context) error {
	conn, release, err := b.store.reader(ctx)
	if err != nil {
		return err
	}
	defer release()
	for {
		var done, outcomes int64
		row := conn.QueryRow(ctx, "SELECT of_done, of_outcome FROM "+b.store.in("sweep")+"($1)", int32(sweepMost))
		err := row.Scan(&done, &outcomes)
		if err != nil || done < sweepMost && outcomes < sweepMost {
			return err
		}
	}
}

// vacuum clears away the rows that ended operations have left in live, which would take autovacuum up to a minute to find.
func (b *buckets) vacuum(ctx context.Context) error {
	b.mu.Lock()
	due := b.churn > churnMost
	b.mu.Unlock()
	if !due {
		return nil
	}
	conn, release, err := b.store.reader(ctx)
	if err != nil {
		return err
	}
	defer release()
	if _, err = conn.Exec(ctx, "VACUUM (SKIP_LOCKED, TRUNCATE false) "+b.store.in("live")); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.churn = 0
	return nil
}

// exec runs a statement that uses the store's own names, in a transaction of its own.
func (b *buckets) exec(ctx context.Context, sql string, args ...any) error {
	conn, release, err := b.store.reader(ctx)
	if err != nil {
		return err
	}
	defer release()
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL search_path = "+pgx.Identifier{b.store.cfg.Schema}.Sanitize()+", pg_temp"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
}
