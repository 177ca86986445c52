package pgstore

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/refrain-dev/refrain"
)

// begins starts a transaction on a connection of its own.
func begins(t *testing.T, url string, mode pgx.QueryExecMode) pgx.Tx {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DefaultQueryExecMode = mode
	conn, err := pgx.ConnectConfig(within(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(within(t)) })
	tx, err := conn.Begin(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// settles finishes the claim in the transaction.
func settles(t *testing.T, s *Store, tx pgx.Tx, c *refrain.Claim) {
	t.Helper()
	if _, err := s.SettleTx(within(t), tx, finish(c, "paid")); err != nil {
		t.Fatal(err)
	}
}

// TestSettleTxInEveryMode settles with every way that pgx has to send a statement.
func TestSettleTxInEveryMode(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	s := openStore(t, url, Config{Schema: schema})
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec,
		pgx.QueryExecModeSimpleProtocol,
	} {
		c := newClaim()
		claims(t, s, c, refrain.Run)
		tx := begins(t, url, mode)
		settles(t, s, tx, &c)
		if err := tx.Commit(within(t)); err != nil {
			t.Fatalf("%v: %v", mode, err)
		}
		replays(t, s, c, "paid")
	}
}

// TestSettleTxIsAsDurableAsTheStore settles in transactions of an application that waits for less than the store does, or for more.
func TestSettleTxIsAsDurableAsTheStore(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	s := openStore(t, url, Config{Schema: schema})
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		for theirs, want := range map[string]string{
			"off": "on", "local": "on", "remote_write": "on", "on": "on", "remote_apply": "remote_apply",
		} {
			c := newClaim()
			claims(t, s, c, refrain.Run)
			tx := begins(t, url, mode)
			if _, err := tx.Exec(within(t), "SET LOCAL synchronous_commit = "+theirs); err != nil {
				t.Fatal(err)
			}
			settles(t, s, tx, &c)
			var got string
			if err := tx.QueryRow(within(t), "SHOW synchronous_commit").Scan(&got); err != nil || got != want {
				t.Errorf("%s: got %q, error %v, want %q", theirs, got, err, want)
			}
			if err := tx.Commit(within(t)); err != nil {
				t.Fatal(err)
			}
			replays(t, s, c, "paid")
		}
	}
}

// TestSettleTxOpensBuckets settles in transactions alone: from the first on there are buckets for what they settle.
func TestSettleTxOpensBuckets(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	s := openStore(t, url, Config{Schema: schema})
	for range 3 {
		c := newClaim()
		claims(t, s, c, refrain.Run)
		tx := begins(t, url, pgx.QueryExecModeExec)
		settles(t, s, tx, &c)
		if err := tx.Commit(within(t)); err != nil {
			t.Fatal(err)
		}
		if err := s.buckets.tend(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if n := query[int](t, url, "SELECT count(*) FROM "+s.in("done_0")); n != 1 {
		t.Errorf("%d rows are in bucket 0, want the first alone", n)
	}
}

// TestSettleTxWhileABucketOpens settles twice in a transaction that does not learn of a bucket that was opened in between.
func TestSettleTxWhileABucketOpens(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	s := openStore(t, url, Config{Schema: schema})
	one, two := newClaim(), newClaim()
	claims(t, s, one, refrain.Run)
	claims(t, s, two, refrain.Run)
	tx := begins(t, url, pgx.QueryExecModeExec)
	settles(t, s, tx, &one)
	done(t, s, "another")
	if err := s.buckets.tend(within(t)); err != nil {
		t.Fatal(err)
	}
	settles(t, s, tx, &two)
	if err := tx.Commit(within(t)); err != nil {
		t.Fatal(err)
	}
	replays(t, s, one, "paid")
	replays(t, s, two, "paid")
}

// TestSettleTxAfterARenewal renews the claim after the transaction has begun. One that sees only what was there before is refused,
// and goes through when it begins again.
func TestSettleTxAfterARenewal(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	s := openStore(t, url, Config{Schema: schema})
	for isolation, want := range map[string]string{"READ COMMITTED": "", "REPEATABLE READ": "40001", "SERIALIZABLE": "40001"} {
		c := newClaim()
		claims(t, s, c, refrain.Run)
		tx := begins(t, url, pgx.QueryExecModeExec)
		if _, err := tx.Exec(within(t), "SET TRANSACTION ISOLATION LEVEL "+isolation+"; SELECT count(*) FROM "+s.in("live")); err != nil {
			t.Fatal(err)
		}
		if err := s.Renew(within(t), refrain.Renewal{ID: c.ID, Token: c.Token, Lease: time.Hour}); err != nil {
			t.Fatal(err)
		}
		_, err := s.SettleTx(within(t), tx, finish(&c, "paid"))
		var refused *pgconn.PgError
		if errors.As(err, &refused); (err == nil) != (want == "") || err != nil && (refused == nil || refused.Code != want) {
			t.Errorf("%s: got error %v, want code %q", isolation, err, want)
		}
		if err != nil {
			_ = tx.Rollback(within(t))
			tx = begins(t, url, pgx.QueryExecModeExec)
			settles(t, s, tx, &c)
		}
		if err := tx.Commit(within(t)); err != nil {
			t.Fatal(err)
		}
		replays(t, s, c, "paid")
	}
}
