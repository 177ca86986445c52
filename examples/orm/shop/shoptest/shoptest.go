// Package shoptest tests the examples.
package shoptest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/examples/orm/shop"
	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// SQLite tests the shop in a file.
func SQLite(t *testing.T, open shop.Opener) {
	t.Helper()
	test(t, filepath.Join(t.TempDir(), "shop.db"), open)
}

// Postgres tests the shop in a PostgreSQL database.
func Postgres(t *testing.T, open shop.Opener) {
	t.Helper()
	server := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
		return servers.StartPostgres(ctx, dir)
	})
	test(t, server.URL("postgres"), open)
}

// A customer pays in a shop.
type customer struct {
	t   *testing.T
	url string
	db  *shop.DB
}

// test sends every payment many times at once, and has others rolled back.
func test(t *testing.T, url string, open shop.Opener) {
	t.Helper()
	db, err := shop.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = db.Store.Close(), db.Close() }()
	handler, err := shop.Handler(t.Context(), db, open)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	c := &customer{t, server.URL, db}
	c.storm()
	c.refused()
}

func (c *customer) storm() {
	const payments, times = 10, 5
	answers := make([][times]string, payments)
	var all sync.WaitGroup
	for i := range payments {
		for n := range times {
			all.Go(func() { answers[i][n] = c.pay(fmt.Sprint("key ", i), "100") })
		}
	}
	all.Wait()
	for i := range payments {
		for n := range times {
			if answers[i][n] != answers[i][0] || !strings.Contains(answers[i][0], `"amount":100`) {
				c.t.Errorf("payment %d: got %q and %q, want one answer", i, answers[i][0], answers[i][n])
			}
		}
	}
	c.expect(payments)
}

// refused has a payment rolled back after its record was written, and then taken: the record was rolled back, too.
func (c *customer) refused() {
	before := c.payments()
	for range 2 {
		if got := c.pay("refused", "5000"); got != "503 the till is full\n" {
			c.t.Errorf("got %q", got)
		}
		c.expect(before)
	}
	if got := c.pay("no number", "much"); got != "400 the amount is no number\n" {
		c.t.Errorf("got %q", got)
	}
}

// expect demands so many payments, and as many operations that are done.
func (c *customer) expect(payments int) {
	c.t.Helper()
	if n := c.payments(); n != payments {
		c.t.Errorf("got %d payments, want %d", n, payments)
	}
	done, err := c.db.Store.List(c.t.Context(), refrain.ListQuery{State: refrain.StateDone, Limit: 100})
	if err != nil || len(done) != payments {
		c.t.Errorf("got %d operations that are done, error %v, want %d", len(done), err, payments)
	}
}

func (c *customer) payments() (n int) {
	c.t.Helper()
	if err := c.db.QueryRowContext(c.t.Context(), "SELECT count(*) FROM payments").Scan(&n); err != nil {
		c.t.Fatal(err)
	}
	return n
}

func (c *customer) pay(key, amount string) string {
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url+"/payments", strings.NewReader(amount))
	if err != nil {
		c.t.Error(err)
		return ""
	}
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("Authorization", "me")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Error(err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, b)
}
