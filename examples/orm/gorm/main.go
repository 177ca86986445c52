// Command gorm is a service that keeps its payments with GORM, and records what it answered in the same transaction.
//
//	cd examples/orm && go run ./gorm
//	curl -i localhost:8080/payments -H 'Idempotency-Key: 1' -H 'Authorization: me' -d 100
package main

import (
	"context"

	"github.com/libtnb/sqlite"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/examples/orm/shop"
)

// A Payment is a row of the table payments.
type Payment struct {
	ID     int64
	Amount int64
}

func main() { shop.Main(open) }

func open(ctx context.Context, db *shop.DB) (shop.Pay, error) {
	orm, err := gorm.Open(dialect(db), &gorm.Config{})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, amount int64) error {
		return orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return pay(ctx, tx, amount) })
	}, orm.WithContext(ctx).AutoMigrate(&Payment{})
}

// dialect has GORM use the database that is open. Its package for SQLite must be one with the store's SQLite in it,
// modernc.org/sqlite: GORM's own has another, and two of them in one process damage files.
func dialect(db *shop.DB) gorm.Dialector {
	if db.Postgres {
		return postgres.New(postgres.Config{Conn: db.DB})
	}
	return sqlite.New(sqlite.Config{Conn: db.DB})
}

// pay takes a payment and records the answer. What it says is true once the transaction has committed.
func pay(ctx context.Context, tx *gorm.DB, amount int64) error {
	payment := Payment{Amount: amount}
	if err := tx.Create(&payment).Error; err != nil {
		return err
	}
	answer, err := shop.Receipt(payment.ID, amount)
	if err != nil {
		return err
	}
	if err := refrain.FromContext(ctx).FinishTx(ctx, tx.Statement.ConnPool, answer); err != nil { // it is the *sql.Tx
		return err
	}
	return shop.Room(amount)
}
