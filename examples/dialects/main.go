// Dialects shows what a dialect does: it starts an API without any idempotency and refrain in front of it, with the file of the
// dialect in this folder, asks like a client, and prints what both say.
//
//	go run ./examples/dialects stripe
//
// It knows no dialect: where a key goes and how it looks, it reads at /.well-known/idempotency, as any client can.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

func main() {
	log.SetFlags(0)
	program := flag.String("refrain", "", "the refrain program; if empty, it is built")
	folder := flag.String("dir", filepath.Join("examples", "dialects"), "the folder with the files of the dialects")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatalf("Name a dialect, one of %s.", strings.Join(names(*folder), ", "))
	}
	if err := show(filepath.Join(*folder, flag.Arg(0)+".yaml"), *program); err != nil {
		log.Fatal(err)
	}
}

// names returns the dialects that have a file.
func names(folder string) (all []string) {
	files, _ := filepath.Glob(filepath.Join(folder, "*.yaml"))
	for _, f := range files {
		all = append(all, strings.TrimSuffix(filepath.Base(f), ".yaml"))
	}
	return all
}

// show prints a conversation through refrain with the file.
func show(file, program string) error {
	var payments atomic.Int64
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		payment := fmt.Sprintf(`{"id":"pay_%d"}`, payments.Add(1))
		var call struct { // if it is one of a tool
			JSONRPC string
			ID      json.RawMessage
		}
		if json.NewDecoder(r.Body).Decode(&call) == nil && call.JSONRPC != "" {
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"structuredContent":%s}}`, call.ID, payment)
			return
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, payment)
	}))
	defer api.Close()
	dir, err := os.MkdirTemp("", "dialects-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := startProxy(program, dir, "--config", file, "--upstream", api.URL)
	if err != nil {
		return err
	}
	defer p.stop()
	if err := converse(p.url); err != nil {
		return err
	}
	fmt.Printf("\nThe API made %d payments.\n", payments.Load())
	return nil
}
