// Command exactly-once is a service that keeps its payments in PostgreSQL, and records what it answered in the same transaction:
// a payment and its answer are there together or not at all, whenever it is killed.
//
//	DATABASE_URL=postgres://… go run ./examples/exactly-once
//	curl -i localhost:8080/payments -H 'Idempotency-Key: 1' -H 'Authorization: me' -d 100
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/pgstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

func main() {
	handler, err := newHandler(context.Background(), os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "localhost:8080", Handler: handler, ReadHeaderTimeout: time.Minute}
	log.Fatal(server.ListenAndServe())
}

// newHandler makes the tables, if they are not there, and protects the API.
func newHandler(ctx context.Context, url string) (http.Handler, error) {
	db, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, err
	}
	if _, err := db.Exec(ctx, "CREATE TABLE IF NOT EXISTS payment (id bigserial PRIMARY KEY, amount bigint NOT NULL)"); err != nil {
		return nil, err
	}
	if err := pgstore.Migrate(ctx, url, ""); err != nil {
		return nil, err
	}
	store, err := pgstore.Open(ctx, url, pgstore.Config{})
	if err != nil {
		return nil, err
	}
	secret, err := store.Secret(ctx)
	if err != nil {
		return nil, err
	}
	guard, err := refrain.New(store, refrain.Config{Secret: secret})
	if err != nil {
		return nil, err
	}
	protect, err := refrainhttp.New(guard, refrainhttp.Config{Policy: refrainhttp.Policy{
		Key: refrainhttp.Key{Required: true},
		// Every effect of this API is in the transaction that records it. So an operation that was begun and is not recorded did
		// not happen, and may run again: whoever still works on it cannot commit any more.
		Operation: refrain.Policy{Unknown: refrain.Rerun},
	}})
	if err != nil {
		return nil, err
	}
	return protect.Wrap(&api{db}), nil
}

// An api takes payments.
type api struct{ db *pgxpool.Pool }

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	amount, bad := strconv.ParseInt(string(body), 10, 64)
	if err != nil || bad != nil {
		http.Error(w, "the amount is no number", http.StatusBadRequest)
		return
	}
	if err := pgx.BeginFunc(r.Context(), a.db, func(tx pgx.Tx) error { return pay(r.Context(), tx, amount) }); err != nil {
		http.Error(w, "not paid, try again", http.StatusInternalServerError) // if it was not committed; else the record is the answer
	}
}

// pay takes a payment and records the answer. What it says is true once the transaction has committed.
func pay(ctx context.Context, tx pgx.Tx, amount int64) error {
	var id int64
	if err := tx.QueryRow(ctx, "INSERT INTO payment (amount) VALUES ($1) RETURNING id", amount).Scan(&id); err != nil {
		return err
	}
	answer, err := refrainhttp.NewOutcome(http.StatusCreated, http.Header{"Content-Type": {"application/json"}},
		fmt.Appendf(nil, `{"payment":%d,"amount":%d}`, id, amount))
	if err != nil {
		return err
	}
	return refrain.FromContext(ctx).FinishTx(ctx, tx, answer)
}
