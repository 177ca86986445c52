// Payments is a payments API without any idempotency of its own: every POST to /charges makes a charge.
//
//	go run ./examples/payments
//	go run ./cmd/refrain proxy --config examples/payments/refrain.yaml
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

type charge struct {
	ID     string `json:"id"`
	Amount int    `json:"amount"`
}

func main() {
	listen := flag.String("listen", "127.0.0.1:3000", "address")
	flag.Parse()
	var charges atomic.Int64
	http.HandleFunc("POST /charges", func(w http.ResponseWriter, r *http.Request) {
		var c charge
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if pause, err := time.ParseDuration(r.URL.Query().Get("take")); err == nil {
			time.Sleep(pause)
		}
		c.ID = fmt.Sprintf("ch_%d", charges.Add(1))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(c)
	})
	http.HandleFunc("GET /charges", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%d charges\n", charges.Load())
	})
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("payments API on http://%s", l.Addr())
	server := http.Server{ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(l))
}
