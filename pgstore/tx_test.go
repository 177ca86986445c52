package pgstore

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/refrain-dev/refrain"
)

// A transaction is one of any driver's.
type transaction struct {
	tx       any
	exec     func(sql string) error
	commit   func() error
	rollback func() error
}

// beginnings begin a transaction of each kind.
func beginnings(t *testing.T, url string) map[string]func(isolation string) transaction {
	t.Helper()
	pool, err := pgxpool.New(within(t), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	db := stdlib.OpenDBFromPool(pool)
	t.Cleanup(func() { _ = db.Close() })
	ctx := context.Background()
	return map[string]func(string) transaction{
		"pgx.Tx": func(isolation string) transaction {
			tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.TxIsoLevel(isolation)})
			if err != nil {
				t.Fatal(err)
			}
			return transaction{
				tx, func(sql string) error { _, err := tx.Exec(ctx, sql); return err },
				func() error { return tx.Commit(ctx) }, func() error { return tx.Rollback(ctx) },
			}
		},
		"*sql.Tx": func(isolation string) transaction {
			levels := map[string]sql.IsolationLevel{
				"read committed": sql.LevelReadCommitted, "repeatable read": sql.LevelRepeatableRead, "serializable": sql.LevelSerializable,
			}
			tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: levels[isolation]})
			if err != nil {
				t.Fatal(err)
			}
			return transaction{
				tx, func(sql string) error { _, err := tx.ExecContext(ctx, sql); return err }, tx.Commit, tx.Rollback,
			}
		},
	}
}

// TestSettleTx finishes in transactions of every kind and isolation, and commits them or not.
func TestSettleTx(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	s := openStore(t, url, Config{Schema: schema})
	run(t, url, "CREATE TABLE "+schema+".payment (key text)")
	for name, begin := range beginnings(t, url) {
		for _, isolation := range []string{"read committed", "repeatable read", "serializable"} {
			for _, commits := range []bool{true, false} {
				c := newClaim()
				claims(t, s, c, refrain.Run)
				tx := begin(isolation)
				if err := tx.exec("INSERT INTO " + schema + ".payment VALUES ('" + c.ID.String() + "')"); err != nil {
					t.Fatal(err)
				}
				if r, err := s.SettleTx(within(t), tx.tx, finish(&c, "paid")); err != nil || r.State != refrain.StateDone ||
					r.Token != c.Token || r.Fence == 0 || !r.Forget.After(r.Retain) {
					t.Fatalf("%s, %s: got %+v, error %v", name, isolation, r, err)
				}
				ended(t, s, &c, tx, commits)
				tried := begin(isolation) // by who has not heard of it
				if _, err := s.SettleTx(within(t), tried.tx, finish(&c, "paid twice")); !errors.Is(err, refrain.ErrStale) {
					t.Errorf("%s, %s: in another transaction got error %v, want %v", name, isolation, err, refrain.ErrStale)
				}
				if err := tried.rollback(); err != nil {
					t.Fatal(err)
				}
				want := map[bool]int{true: 1}[commits]
				got := query[int](t, url, "SELECT count(*) FROM "+schema+".payment WHERE key = $1", c.ID.String())
				if got != want {
					t.Errorf("%s, %s: got %d rows, want %d", name, isolation, got, want)
				}
			}
		}
	}
}

// ended ends the transaction and checks what others see of it, before and after.
func ended(t *testing.T, s *Store, c *refrain.Claim, tx transaction, commits bool) {
	t.Helper()
	claims(t, s, again(*c), refrain.InFlight) // nobody waits for the transaction, nor sees it
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.Settle(ctx, finish(c, "declined")); !isUnavailable(err) { // it may still be made when the transaction ends
		t.Fatalf("an ending while the transaction is open: got error %v, want that it waits", err)
	}
	if !commits {
		if err := tx.rollback(); err != nil {
			t.Fatal(err)
		}
		finishes(t, s, c, "declined")
		return
	}
	if err := tx.commit(); err != nil {
		t.Fatal(err)
	}
	replays(t, s, *c, "paid")
	if _, err := s.Settle(within(t), refrain.Settlement{ID: c.ID, Token: c.Token, Ending: refrain.Released}); !errors.Is(err, refrain.ErrStale) {
		t.Errorf("a release after the commit: got error %v, want %v", err, refrain.ErrStale)
	}
}

// TestSettleTxRefuses settles with tokens that are not the newest, in transactions that are none, and in a database that is
// another.
func TestSettleTxRefuses(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	s := openStore(t, url, Config{Schema: schema})
	for name, begin := range beginnings(t, url) {
		c := newClaim()
		claims(t, s, c, refrain.Run)
		other := again(c)
		tx := begin("read committed")
		if _, err := s.SettleTx(within(t), tx.tx, finish(&other, "forged")); !errors.Is(err, refrain.ErrStale) {
			t.Errorf("%s: got error %v, want %v", name, err, refrain.ErrStale)
		}
		released := refrain.Settlement{ID: c.ID, Token: c.Token, Ending: refrain.Released}
		if _, err := s.SettleTx(within(t), tx.tx, released); err == nil {
			t.Errorf("%s: a release in a transaction went through", name)
		}
		if err := tx.commit(); err != nil {
			t.Error(err)
		}
		if _, err := s.SettleTx(within(t), tx.tx, finish(&c, "late")); err == nil {
			t.Errorf("%s: got no error of a transaction that has ended", name)
		}
		claims(t, s, again(c), refrain.InFlight)
	}
	c := newClaim()
	if _, err := s.SettleTx(within(t), "no transaction", finish(&c, "")); !errors.Is(err, refrain.ErrNoTx) {
		t.Errorf("got error %v, want %v", err, refrain.ErrNoTx)
	}
	elsewhere := newStore(t)
	claims(t, elsewhere, c, refrain.Run)
	tx := beginnings(t, url)["pgx.Tx"]("read committed")
	if _, err := s.SettleTx(within(t), tx.tx, finish(&c, "paid")); !errors.Is(err, refrain.ErrStale) {
		t.Errorf("of a claim in another store: got error %v, want %v", err, refrain.ErrStale)
	}
	if err := tx.rollback(); err != nil {
		t.Error(err)
	}
}

// TestManyDuplicatesOfATransaction has duplicates ask for an operation that an open transaction has finished. None of them waits
// for it or takes a connection away, so that others go on.
func TestManyDuplicatesOfATransaction(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	s := openStore(t, url, Config{Schema: schema})
	c := newClaim()
	claims(t, s, c, refrain.Run)
	tx := beginnings(t, url)["pgx.Tx"]("read committed")
	if _, err := s.SettleTx(within(t), tx.tx, finish(&c, "paid")); err != nil {
		t.Fatal(err)
	}
	verdicts := make(chan refrain.Verdict)
	for range 200 {
		go func() {
			d, _ := s.Claim(within(t), again(c))
			verdicts <- d.Verdict
		}()
	}
	for range 200 {
		if v := <-verdicts; v != refrain.InFlight {
			t.Fatalf("got verdict %v, want %v", v, refrain.InFlight)
		}
	}
	done(t, s, "another")
	if err := tx.commit(); err != nil {
		t.Fatal(err)
	}
	replays(t, s, c, "paid")
}
