// Command sqlc is a service that keeps its payments with what sqlc has made of its SQL, and records what it answered in the same
// transaction.
//
//	cd examples/orm && go run ./sqlc
//	curl -i localhost:8080/payments -H 'Idempotency-Key: 1' -H 'Authorization: me' -d 100
package main

import (
	"context"
	"database/sql"
	_ "embed"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/examples/orm/shop"
	"github.com/refrain-dev/refrain/examples/orm/sqlc/payments"
)

//go:embed schema.sql
var schema string

func main() { shop.Main(open) }

func open(ctx context.Context, db *shop.DB) (shop.Pay, error) {
	_, err := db.ExecContext(ctx, schema)
	return func(ctx context.Context, amount int64) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // does nothing after the commit
		if err := pay(ctx, tx, amount); err != nil {
			return err
		}
		return tx.Commit()
	}, err
}

// pay takes a payment and records the answer. What it says is true once the transaction has committed.
func pay(ctx context.Context, tx *sql.Tx, amount int64) error {
	id, err := payments.New(tx).Add(ctx, amount)
	if err != nil {
		return err
	}
	answer, err := shop.Receipt(id, amount)
	if err != nil {
		return err
	}
	if err := refrain.FromContext(ctx).FinishTx(ctx, tx, answer); err != nil {
		return err
	}
	return shop.Room(amount)
}
