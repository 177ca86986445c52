// Command bun is a service that keeps its payments with bun, and records what it answered in the same transaction.
//
//	cd examples/orm && go run ./bun
//	curl -i localhost:8080/payments -H 'Idempotency-Key: 1' -H 'Authorization: me' -d 100
package main

import (
	"context"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/examples/orm/shop"
)

// A Payment is a row of the table payments.
type Payment struct {
	ID     int64 `bun:",pk,autoincrement"`
	Amount int64 `bun:",notnull"`
}

func main() { shop.Main(open) }

func open(ctx context.Context, db *shop.DB) (shop.Pay, error) {
	orm := bun.NewDB(db.DB, dialect(db))
	_, err := orm.NewCreateTable().Model((*Payment)(nil)).IfNotExists().Exec(ctx)
	return func(ctx context.Context, amount int64) error {
		return orm.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error { return pay(ctx, tx, amount) })
	}, err
}

func dialect(db *shop.DB) schema.Dialect {
	if db.Postgres {
		return pgdialect.New()
	}
	return sqlitedialect.New()
}

// pay takes a payment and records the answer. What it says is true once the transaction has committed.
func pay(ctx context.Context, tx bun.Tx, amount int64) error {
	payment := Payment{Amount: amount}
	if _, err := tx.NewInsert().Model(&payment).Exec(ctx); err != nil {
		return err
	}
	answer, err := shop.Receipt(payment.ID, amount)
	if err != nil {
		return err
	}
	if err := refrain.FromContext(ctx).FinishTx(ctx, tx.Tx, answer); err != nil {
		return err
	}
	return shop.Room(amount)
}
