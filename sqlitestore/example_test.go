package sqlitestore_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/sqlitestore"
)

// A payment and the record that it was made are one transaction.
func Example() {
	dir, err := os.MkdirTemp("", "shop")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	file := filepath.Join(dir, "shop.db")
	db, err := sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE TABLE payments (amount INTEGER NOT NULL)"); err != nil {
		log.Fatal(err)
	}
	store, err := sqlitestore.New(ctx, db, sqlitestore.Config{})
	if err != nil {
		log.Fatal(err)
	}
	secret, err := store.Secret(ctx)
	if err != nil {
		log.Fatal(err)
	}
	guard, err := refrain.New(store, refrain.Config{Secret: secret})
	if err != nil {
		log.Fatal(err)
	}
	defer guard.Close(ctx)

	pay := func(ctx context.Context) (string, error) {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return "", err
		}
		defer tx.Rollback()
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
	operation := refrain.Operation{Scope: refrain.Scope{Principal: "alice", Route: "pay"}, Key: "order-1"}
	for range 3 {
		answer, err := refrain.Do(ctx, guard, operation, pay)
		fmt.Println(answer, err)
	}
	var payments int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM payments").Scan(&payments); err != nil {
		log.Fatal(err)
	}
	fmt.Println(payments, "payment")
	// Output:
	// paid <nil>
	// paid <nil>
	// paid <nil>
	// 1 payment
}
