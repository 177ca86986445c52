package sqlitestore_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/sqlitestore"
)

// A payment and the record that it was made are one transaction.
func Example() {
	dir, err := os.MkdirTemp("", "shop")
	if err == nil {
		err = shop(context.Background(), filepath.Join(dir, "shop.db"))
		_ = os.RemoveAll(dir)
	}
	fmt.Println(err)
	// Output:
	// paid <nil>
	// paid <nil>
	// paid <nil>
	// 1 payment
	// <nil>
}

// shop sells, and hears three times of the same order.
func shop(ctx context.Context, file string) error {
	db, err := sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE TABLE payments (amount INTEGER NOT NULL)"); err != nil {
		return err
	}
	store, err := sqlitestore.New(ctx, db, sqlitestore.Config{})
	if err != nil {
		return err
	}
	secret, err := store.Secret(ctx)
	if err != nil {
		return err
	}
	guard, err := refrain.New(store, refrain.Config{Secret: secret})
	if err != nil {
		return err
	}
	defer guard.Close(ctx)
	order := refrain.Operation{Scope: refrain.Scope{Principal: "alice", Route: "pay"}, Key: "order-1"}
	for range 3 {
		fmt.Println(refrain.Do(ctx, guard, order, func(ctx context.Context) (string, error) { return pay(ctx, db) }))
	}
	var payments int
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM payments").Scan(&payments)
	fmt.Println(payments, "payment")
	return err
}

// pay takes a payment and finishes the operation that ctx carries.
func pay(ctx context.Context, db *sql.DB) (string, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return "", err
	}
	defer tx.Rollback() // does nothing after the commit
	if _, err := tx.ExecContext(ctx, "INSERT INTO payments (amount) VALUES (10)"); err != nil {
		return "", err
	}
	o, err := refrain.Result("paid")
	if err != nil {
		return "", err
	}
	if err := refrain.FromContext(ctx).FinishTx(ctx, tx, o); err != nil {
		return "", err
	}
	return "paid", tx.Commit()
}
