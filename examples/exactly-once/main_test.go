package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// TestEachPaymentOnce sends every payment many times at once.
func TestEachPaymentOnce(t *testing.T) {
	t.Parallel()
	url := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
		return servers.StartPostgres(ctx, dir)
	}).URL("postgres")
	handler, err := newHandler(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	const payments, times = 10, 5
	answers := make([][times]string, payments)
	var all sync.WaitGroup
	for i := range payments {
		for n := range times {
			all.Go(func() { answers[i][n] = send(t, server.URL, fmt.Sprint("key ", i)) })
		}
	}
	all.Wait()
	for i := range payments {
		for n := range times {
			if answers[i][n] != answers[i][0] || !strings.Contains(answers[i][0], `"amount":100`) {
				t.Errorf("payment %d: got %q and %q, want one answer", i, answers[i][0], answers[i][n])
			}
		}
	}
	if n := count(t, url); n != payments {
		t.Errorf("got %d payments, want %d", n, payments)
	}
	if got := send(t, server.URL, "bad key", "no number"); got != "400 the amount is no number\n" {
		t.Errorf("got %q", got)
	}
}

func send(t *testing.T, url, key string, body ...string) string {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/payments", strings.NewReader(append(body, "100")[0]))
	if err != nil {
		t.Error(err)
		return ""
	}
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("Authorization", "me")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, b)
}

func count(t *testing.T, url string) (n int) {
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM payment").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
