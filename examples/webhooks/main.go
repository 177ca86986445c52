// Command webhooks is a consumer of webhooks that believes whatever reaches it, and acts on it every time.
//
// Its answers and its log count the events. README.md puts Refrain in front of it.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"sync/atomic"
	"time"
)

func main() {
	var events atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hooks/{sender}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		n := events.Add(1)
		log.Printf("event %d, from %s: %d bytes", n, r.PathValue("sender"), len(body)) //nolint:gosec // an example
		if r.URL.Query().Has("fail") {
			http.Error(w, "out of order", http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "handled as event %d\n", n)
	})
	server := &http.Server{Addr: "127.0.0.1:3000", Handler: mux, ReadHeaderTimeout: time.Second}
	log.Fatal(server.ListenAndServe())
}
