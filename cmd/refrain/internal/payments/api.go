// Package payments is a small payments API to practise on, with a ledger that counts its charges, and a client that
// pays the way a careful one does. The API has no idempotency of its own: it charges whoever asks, as often as they ask.
package payments

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"
)

// An Order is what a client wants to be charged for.
type Order struct {
	Amount    int64  `json:"amount"` // in the currency's smallest unit
	Currency  string `json:"currency"`
	Reference string `json:"reference"` // the client's own name for it
}

func (o *Order) validate() error {
	switch {
	case o.Amount <= 0:
		return fmt.Errorf("amount is %d; it must be positive", o.Amount)
	case len(o.Currency) != 3:
		return fmt.Errorf("currency is %q; it must be three letters, such as EUR", o.Currency)
	case o.Reference == "":
		return errors.New("reference is empty; name your order")
	}
	return nil
}

// An API serves POST /charges, which charges, and GET /charges, which lists. It may be used concurrently.
//
// It works as payments APIs do: a charge takes a while, the money moves in the middle of it, and a client that hangs up
// stops nothing.
type API struct {
	ledger   *Ledger
	took     time.Duration
	mux      *http.ServeMux
	orders   atomic.Int64
	inFlight atomic.Int64
}

// NewAPI returns an API that writes to the ledger. A charge takes between half and one and a half of took.
func NewAPI(ledger *Ledger, took time.Duration) *API {
	a := &API{ledger: ledger, took: took, mux: http.NewServeMux()}
	a.mux.HandleFunc("POST /charges", a.charge)
	a.mux.HandleFunc("GET /charges", a.list)
	return a
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Orders returns how many valid orders have arrived.
func (a *API) Orders() int { return int(a.orders.Load()) }

// InFlight returns how many orders the API works on now.
func (a *API) InFlight() int { return int(a.inFlight.Load()) }

func (a *API) charge(w http.ResponseWriter, r *http.Request) {
	a.inFlight.Add(1)
	defer a.inFlight.Add(-1)
	var o Order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&o); err != nil {
		refuse(w, "the order is not readable JSON: "+err.Error())
		return
	}
	if err := o.validate(); err != nil {
		refuse(w, err.Error())
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	a.orders.Add(1)
	half := a.took/4 + rand.N(a.took/2+1)
	time.Sleep(half)
	c, err := a.ledger.Append(o)
	if err != nil {
		reply(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		return
	}
	time.Sleep(half)
	w.Header().Set("Location", "/charges?reference="+c.Reference)
	reply(w, http.StatusCreated, c)
}

func (a *API) list(w http.ResponseWriter, r *http.Request) {
	reference := r.URL.Query().Get("reference")
	found := []Charge{}
	for _, c := range a.ledger.Charges() {
		if reference == "" || c.Reference == reference {
			found = append(found, c)
		}
	}
	reply(w, http.StatusOK, map[string]any{"count": len(found), "charges": found})
}

func refuse(w http.ResponseWriter, why string) {
	reply(w, http.StatusUnprocessableEntity, map[string]string{"error": why})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone, and nothing is to be done about it
}
