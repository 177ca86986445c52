// Command ent is a service that keeps its payments with ent, and records what it answered in the same transaction.
//
//	cd examples/orm && go run ./ent
//	curl -i localhost:8080/payments -H 'Idempotency-Key: 1' -H 'Authorization: me' -d 100
package main

import (
	"context"
	"database/sql"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/examples/orm/ent/internal/ent"
	"github.com/refrain-dev/refrain/examples/orm/shop"
)

func main() { shop.Main(open) }

func open(ctx context.Context, db *shop.DB) (shop.Pay, error) {
	name := dialect.SQLite
	if db.Postgres {
		name = dialect.Postgres
	}
	orm := ent.NewClient(ent.Driver(entsql.OpenDB(name, db.DB)))
	return func(ctx context.Context, amount int64) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // does nothing after the commit
		if err := pay(ctx, tx, name, amount); err != nil {
			return err
		}
		return tx.Commit()
	}, orm.Schema.Create(ctx)
}

// pay takes a payment and records the answer. What it says is true once the transaction has committed.
func pay(ctx context.Context, tx *sql.Tx, name string, amount int64) error {
	payment, err := in(tx, name).Payment.Create().SetAmount(amount).Save(ctx)
	if err != nil {
		return err
	}
	answer, err := shop.Receipt(payment.ID, amount)
	if err != nil {
		return err
	}
	if err := refrain.FromContext(ctx).FinishTx(ctx, tx, answer); err != nil {
		return err
	}
	return shop.Room(amount)
}

// in returns a client that works in the transaction. ent's own Tx does not show the *sql.Tx that it has.
func in(tx *sql.Tx, name string) *ent.Client {
	return ent.NewClient(ent.Driver(driver{entsql.NewDriver(name, entsql.Conn{ExecQuerier: tx})}))
}

// A driver works in a transaction that somebody else ends.
type driver struct{ *entsql.Driver }

// Tx is what ent calls for a change that takes several statements.
func (d driver) Tx(context.Context) (dialect.Tx, error) { return dialect.NopTx(d), nil }
