package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// answer is what the upstream and the handlers of the peers reply with: 200 bytes of JSON.
const answer = `{"id":"ch_3NqXkF2eZvKYlo2C1a2b3c4d","object":"charge","amount":1999,"currency":"EUR","status":"succeeded",` +
	`"account":"acct_17","created":1763770000,"receipt":"https://pay.example/3NqXkF2e","paid":true}`

// serveUpstream is a minimal API on the standard library's server: every POST is a charge, GET /count says how many there
// were. It runs in a process of its own, which ends when its standard input does.
func serveUpstream(addr string) error {
	var count atomic.Int64
	mux := http.NewServeMux()
	length := strconv.Itoa(len(answer))
	mux.HandleFunc("POST /charges", func(w http.ResponseWriter, _ *http.Request) {
		count.Add(1)
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", length)
		_, _ = w.Write([]byte(answer)) // a caller that left is no concern of a benchmark
	})
	mux.HandleFunc("GET /count", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, count.Load())
	})
	server := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return fmt.Errorf("serving the upstream: %w", err)
	}
	return nil
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr(ctx context.Context) (string, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// charges asks the upstream how often it was called.
func charges(ctx context.Context, upstream string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+upstream+"/count", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("asking the upstream for its count: %w", err)
	}
	defer res.Body.Close()
	var n int
	_, err = fmt.Fscan(res.Body, &n)
	return n, err
}
