// Package shop is what the examples have in common: a database, the store beside its tables, and an API that takes payments.
package shop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A Pay takes a payment, and finishes the operation that is in the context, in one transaction.
type Pay func(ctx context.Context, amount int64) error

// An Opener makes the table of payments, if it is not there, and returns what pays into it.
type Opener func(ctx context.Context, db *DB) (Pay, error)

// ErrFull is a payment that the shop cannot take.
var ErrFull = errors.New("the till is full")

// Main serves the shop, in the PostgreSQL database DATABASE_URL or else in the SQLite file shop.db.
func Main(open Opener) {
	ctx := context.Background()
	db, err := Open(ctx, cmp.Or(os.Getenv("DATABASE_URL"), "shop.db"))
	if err != nil {
		log.Fatal(err)
	}
	handler, err := Handler(ctx, db, open)
	if err != nil {
		log.Fatal(err)
	}
	log.Print("payments API on http://localhost:8080")
	server := &http.Server{Addr: "localhost:8080", Handler: handler, ReadHeaderTimeout: time.Minute}
	log.Fatal(server.ListenAndServe())
}

// Handler protects the API.
func Handler(ctx context.Context, db *DB, open Opener) (http.Handler, error) {
	pay, err := open(ctx, db)
	if err != nil {
		return nil, err
	}
	secret, err := db.Store.Secret(ctx)
	if err != nil {
		return nil, err
	}
	guard, err := refrain.New(db.Store, refrain.Config{Secret: secret})
	if err != nil {
		return nil, err
	}
	protect, err := refrainhttp.New(guard, refrainhttp.Config{Policy: refrainhttp.Policy{
		Key: refrainhttp.Key{Required: true},
		// Every effect is in the transaction that records it, so what is not recorded did not happen, and may run again.
		Operation: refrain.Policy{Unknown: refrain.Rerun},
	}})
	if err != nil {
		return nil, err
	}
	return protect.Wrap(pay), nil
}

// ServeHTTP takes the payment that the request's body says.
func (pay Pay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	amount, bad := strconv.ParseInt(strings.TrimSpace(string(body)), 10, 64)
	if err != nil || bad != nil {
		http.Error(w, "the amount is no number", http.StatusBadRequest)
		return
	}
	switch err := pay(r.Context(), amount); {
	case errors.Is(err, ErrFull):
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case err != nil: // if it was not committed; else the record is the answer
		http.Error(w, "not paid, try again", http.StatusInternalServerError)
	}
}

// Receipt is the answer to a payment.
func Receipt(id, amount int64) (refrain.Outcome, error) {
	return refrainhttp.NewOutcome(http.StatusCreated, http.Header{"Content-Type": {"application/json"}},
		fmt.Appendf(nil, `{"payment":%d,"amount":%d}`, id, amount))
}

// Room returns ErrFull for more than the till can take. The examples ask last, when the payment and its record are written, to
// show what a rollback leaves: neither of them.
func Room(amount int64) error {
	if amount > 1000 {
		return ErrFull
	}
	return nil
}
