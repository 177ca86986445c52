package mysqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

func startServer(t *testing.T, settings ...string) *servers.MariaDB {
	t.Helper()
	return servertest.Start(t, func(ctx context.Context, dir string) (*servers.MariaDB, error) {
		return servers.StartMariaDB(ctx, dir, settings...)
	})
}

// TestTransactions finishes operations in transactions of every isolation level whose snapshot is older than the claim.
func TestTransactions(t *testing.T) {
	t.Parallel()
	url := database(t, server(t))
	s := openStore(t, url, Config{})
	t.Cleanup(func() { s.Close() })
	db := openPlain(t, url)
	exec(t, db, "CREATE TABLE payments (id BINARY(32) PRIMARY KEY)")
	for _, level := range []sql.IsolationLevel{
		sql.LevelDefault, sql.LevelReadUncommitted, sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable,
	} {
		t.Run(level.String(), func(t *testing.T) {
			t.Parallel()
			c := newClaim()
			rolledBack := begin(t, db, &sql.TxOptions{Isolation: level})
			var n int
			if err := rolledBack.QueryRow("SELECT COUNT(*) FROM payments").Scan(&n); err != nil { // makes the snapshot
				t.Fatal(err)
			}
			claims(t, s, c, refrain.Run)
			settlesTx(t, s, rolledBack, finish(&c, "not this"), nil)
			claims(t, s, again(c), refrain.InFlight)
			if err := rolledBack.Rollback(); err != nil {
				t.Fatal(err)
			}
			claims(t, s, again(c), refrain.InFlight)

			other := again(c)
			forged := begin(t, db, &sql.TxOptions{Isolation: level})
			settlesTx(t, s, forged, finish(&other, "forged"), refrain.ErrStale)
			if err := forged.Rollback(); err != nil {
				t.Fatal(err)
			}

			tx := begin(t, db, &sql.TxOptions{Isolation: level})
			exec(t, tx, "INSERT INTO payments VALUES (?)", c.ID[:])
			settlesTx(t, s, tx, finish(&c, "paid"), nil)
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			if d := claims(t, s, again(c), refrain.Replay); string(d.Record.Outcome.Body) != "paid" {
				t.Errorf("got %q", d.Record.Outcome.Body)
			}
			late := begin(t, db, &sql.TxOptions{Isolation: level})
			settlesTx(t, s, late, finish(&other, "forged"), refrain.ErrStale)
			settlesTx(t, s, late, finish(&c, "paid twice"), refrain.ErrStale) // by who has not heard of the commit
		})
	}
}

func settlesTx(t *testing.T, s *Store, tx any, e refrain.Settlement, want error) refrain.Record {
	t.Helper()
	r, err := s.SettleTx(within(t), tx, e)
	if !errors.Is(err, want) {
		t.Fatalf("SettleTx: got error %v, want %v", err, want)
	}
	return r
}

func TestTransactionsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	url := database(t, server(t))
	s := openStore(t, url, Config{})
	defer s.Close()
	c := newClaim()
	claims(t, s, c, refrain.Run)
	elsewhere := startServer(t)
	cfg, err := parseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	exec(t, openPlain(t, elsewhere.URL()), "CREATE DATABASE "+cfg.DBName)
	same := strings.TrimSuffix(elsewhere.URL(), "refrain") + cfg.DBName
	if err := Migrate(t.Context(), same); err != nil {
		t.Fatal(err)
	}
	other := openStore(t, same, Config{})
	defer other.Close()
	for name, tx := range map[string]any{
		"nil": nil, "a pool": openPlain(t, url), "a text": "BEGIN",
		"a pool in disguise": struct{ *sql.DB }{openPlain(t, url)}, "a connection": connectionOn(t, url, "SELECT 1"),
		"another server": begin(t, openPlain(t, elsewhere.URL()), nil), "its store": begin(t, openPlain(t, same), nil),
	} {
		if _, err := s.SettleTx(within(t), tx, finish(&c, "paid")); !errors.Is(err, refrain.ErrNoTx) {
			t.Errorf("%s: got error %v, want %v", name, err, refrain.ErrNoTx)
		}
	}
	claims(t, s, again(c), refrain.InFlight)
	for _, begins := range []string{"START TRANSACTION", "SET autocommit = 0"} {
		c := newClaim()
		claims(t, s, c, refrain.Run)
		conn := connectionOn(t, url, begins)
		settlesTx(t, s, conn, finish(&c, "paid"), nil)
		if _, err := conn.ExecContext(within(t), "COMMIT"); err != nil {
			t.Fatal(err)
		}
		claims(t, s, again(c), refrain.Replay)
	}
}

// TestTheVictimOfADeadlock settles in a transaction that the server has rolled back by itself, of which database/sql knows nothing:
// the outcome would be committed at once, and without what belongs to it.
func TestTheVictimOfADeadlock(t *testing.T) {
	t.Parallel()
	url := database(t, server(t))
	s := openStore(t, url, Config{})
	t.Cleanup(func() { s.Close() })
	db := openPlain(t, url)
	exec(t, db, "CREATE TABLE accounts (id INT PRIMARY KEY, amount INT)")
	exec(t, db, "INSERT INTO accounts VALUES (0, 0), (1, 0)")
	c := newClaim()
	claims(t, s, c, refrain.Run)
	const pay = "UPDATE accounts SET amount = amount + 1 WHERE id = ?"
	var errs [2]error
	txs := [2]*sql.Tx{begin(t, db, nil), begin(t, db, nil)}
	for i, tx := range txs {
		exec(t, tx, pay, i)
	}
	var both sync.WaitGroup
	for i, tx := range txs {
		both.Go(func() { _, errs[i] = tx.ExecContext(within(t), pay, 1-i) })
	}
	both.Wait()
	for i, tx := range txs {
		if errs[i] != nil {
			settlesTx(t, s, tx, finish(&c, "paid"), refrain.ErrNoTx)
		}
		_ = tx.Rollback()
	}
	if errs[0] == nil && errs[1] == nil {
		t.Error("there was no deadlock")
	}
	claims(t, s, again(c), refrain.InFlight)
}

// connectionOn returns one that has run a statement.
func connectionOn(t *testing.T, url, statement string) *sql.Conn {
	t.Helper()
	conn, err := openPlain(t, url).Conn(within(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.ExecContext(within(t), statement); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestATransactionStopsNobodyElse keeps a transaction open in which an operation was finished. Its duplicates are in flight, and
// nobody waits for its locks, but for who settles the operation too: that one waits until it ends.
func TestATransactionStopsNobodyElse(t *testing.T) {
	t.Parallel()
	url := database(t, startServer(t))
	s := openStore(t, url, Config{})
	defer s.Close()
	db := openPlain(t, url)
	for _, commit := range []bool{true, false} {
		c := newClaim()
		claims(t, s, c, refrain.Run)
		tx := begin(t, db, nil)
		settlesTx(t, s, tx, finish(&c, "paid"), nil)
		before := status(t, db, "Innodb_row_lock_waits")
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				claims(t, s, again(c), refrain.InFlight)
				other := newClaim()
				claims(t, s, other, refrain.Run)
				settles(t, s, finish(&other, "other"), nil)
			})
		}
		all.Wait()
		if n := status(t, db, "Innodb_row_lock_waits") - before; n != 0 {
			t.Fatalf("%d waits for locks, want none", n)
		}
		released := make(chan error, 1)
		go func() {
			_, err := s.Settle(within(t), refrain.Settlement{ID: c.ID, Token: c.Token, Ending: refrain.Released})
			released <- err
		}()
		for status(t, db, "Innodb_row_lock_waits") == before {
			<-time.After(time.Millisecond)
		}
		select {
		case err := <-released:
			t.Fatalf("it did not wait: got error %v", err)
		default:
		}
		if !commit {
			_ = tx.Rollback()
			if err := <-released; err != nil {
				t.Errorf("after the rollback: got error %v", err)
			}
			return
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := <-released; !errors.Is(err, refrain.ErrStale) {
			t.Errorf("after the commit: got error %v, want %v", err, refrain.ErrStale)
		}
	}
}

func status(t *testing.T, db *sql.DB, name string) (n int) {
	t.Helper()
	if err := db.QueryRow("SHOW GLOBAL STATUS LIKE '"+name+"'").Scan(new(string), &n); err != nil {
		t.Fatal(err)
	}
	return n
}
