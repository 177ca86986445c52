package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// What examples/graphql/README.md says of its file.
func TestGraphQLExample(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		answer string
		status string // of the retry
		code   int
		runs   int64
	}{
		{`{"data":{"createCharge":{"id":1,"userErrors":[]}}}`, "replayed", http.StatusOK, 1},
		{`{"data":{"createCharge":{"id":null,"userErrors":[{"message":"no"}]}}}`, "executed", http.StatusOK, 2},
		{`{"errors":[{"message":"no"}],"data":null}`, "unknown", http.StatusConflict, 1},
		{`{"errors":[{"message":"no"}]}`, "unknown", http.StatusConflict, 1},
		{`{"errors":[{"message":"no"}],"data":{"createCharge":{"id":1}}}`, "replayed", http.StatusOK, 1},
	} {
		var runs atomic.Int64
		api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			runs.Add(1)
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, tt.answer)
		}))
		t.Cleanup(api.Close)
		p := start(t, "--config", "../../examples/graphql/refrain.yaml", "--upstream", api.URL, "--store", "memory:")
		if resp, body := p.mustPost("/graphql", "k1"); resp.StatusCode != http.StatusOK || body != tt.answer {
			t.Errorf("%s: got %d %s the first time", tt.answer, resp.StatusCode, body)
		}
		resp, _ := p.mustPost("/graphql", "k1")
		if got := resp.Header.Get("Idempotency-Status"); resp.StatusCode != tt.code || got != tt.status || runs.Load() != tt.runs {
			t.Errorf("%s: got %d %s after %d runs, want %d %s after %d", tt.answer, resp.StatusCode, got, runs.Load(), tt.code, tt.status, tt.runs)
		}
	}
}
