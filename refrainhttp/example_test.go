package refrainhttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// exampleGuard returns a guard that forgets when the process ends; use pebblestore to remember.
func exampleGuard() *refrain.Guard {
	guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		panic(err)
	}
	return guard
}

// send posts a body to a handler and prints the answer.
func send(h http.Handler, path, key, body string) {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", key)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("Idempotency-Status"), w.Body)
}

func Example() {
	charges := 0
	charge := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		charges++
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "charge %d", charges)
	})
	m, err := refrainhttp.New(exampleGuard(), refrainhttp.Config{})
	if err != nil {
		panic(err)
	}
	h := m.Wrap(charge)

	send(h, "/charges", "order-1", `{"amount": 10}`)
	send(h, "/charges", "order-1", `{"amount": 10.0}`) // a retry: the same amount, written otherwise
	send(h, "/charges", "order-2", `{"amount": 10}`)
	fmt.Println(charges, "charges made")
	// Output:
	// 201 executed charge 1
	// 201 replayed charge 1
	// 201 executed charge 2
	// 2 charges made
}

// Routes have policies of their own; the most specific pattern wins.
func ExampleConfig_routes() {
	m, err := refrainhttp.New(exampleGuard(), refrainhttp.Config{Routes: []refrainhttp.Route{
		{
			Match:  []string{"POST /charges", "POST /charges/{id}/capture"},
			Policy: refrainhttp.Policy{Key: refrainhttp.Key{Required: true}},
		},
		{Match: []string{"POST /"}},
	}})
	if err != nil {
		panic(err)
	}
	for _, path := range []string{"/charges", "/charges/7/capture", "/notes"} {
		fmt.Println(m.Explain(httptest.NewRequest(http.MethodPost, path, nil)).Why)
	}
	// Output:
	// "POST /charges" is the most specific match; a request without a key is refused.
	// "POST /charges/{id}/capture" is the most specific match; a request without a key is refused.
	// "POST /" is the most specific match; a request without a key passes unprotected.
}

// A handler that knows better than its status says so: here that nothing was charged.
func ExampleSetOutcome() {
	tries := 0
	m, err := refrainhttp.New(exampleGuard(), refrainhttp.Config{})
	if err != nil {
		panic(err)
	}
	h := m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries == 1 {
			refrainhttp.SetOutcome(r.Context(), refrainhttp.Release)
			http.Error(w, "bank not reachable, nothing charged", http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, "charged")
	}))
	send(h, "/charges", "order-1", "{}")
	send(h, "/charges", "order-1", "{}")
	// Output:
	// 502 executed bank not reachable, nothing charged
	//
	// 200 executed charged
}
