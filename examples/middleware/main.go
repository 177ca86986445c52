// Command middleware is a small payments API whose charges happen once, however often a client sends them.
//
//	go run ./examples/middleware
//	curl -i -H 'Idempotency-Key: order-1' -d '{"amount":10}' http://127.0.0.1:8080/charges
//	curl -i -H 'Idempotency-Key: order-1' -d '{"amount":10}' http://127.0.0.1:8080/charges
//
// The second answer is the first one again. The store forgets when the process ends; one that remembers is in
// pebblestore.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, *listen, log)
	stop()
	if err != nil {
		log.Error("server ended", "err", err)
		os.Exit(1)
	}
}

// serve runs the API until ctx ends, then lets what runs finish.
func serve(ctx context.Context, listen string, log *slog.Logger) error {
	guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{Logger: log})
	if err != nil {
		return err
	}
	protect, err := refrainhttp.New(guard, refrainhttp.Config{Logger: log, Routes: []refrainhttp.Route{{
		Match:  []string{"POST /charges"},
		Policy: refrainhttp.Policy{Key: refrainhttp.Key{Required: true}},
	}}})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /charges", charge(log))
	server := &http.Server{
		Addr: listen, Handler: protect.Wrap(mux), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	log.Info("listening", "url", "http://"+listen)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return errors.Join(server.Shutdown(draining), guard.Close(draining)) // the guard last: it waits for what runs
}

// charge is the effect that must happen once.
func charge(log *slog.Logger) http.HandlerFunc {
	var charges atomic.Int64
	return func(w http.ResponseWriter, _ *http.Request) {
		n := charges.Add(1)
		log.Info("charged", "charge", n)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "{\"charge\":%d}\n", n)
	}
}
