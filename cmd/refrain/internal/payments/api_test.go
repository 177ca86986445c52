package payments

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func startAPI(t *testing.T, took time.Duration) (*API, *Ledger, string) {
	t.Helper()
	l := openLedger(t, filepath.Join(t.TempDir(), "ledger"))
	api := NewAPI(l, took)
	srv := httptest.NewServer(api)
	t.Cleanup(srv.Close)
	return api, l, srv.URL
}

func TestAPIChargesAsOftenAsItIsAsked(t *testing.T) {
	t.Parallel()
	api, ledger, url := startAPI(t, time.Millisecond)
	client := Client{URL: url}
	var ids []string
	for range 3 {
		r := client.Pay(t.Context(), "the-same-key", order("a"))
		c, err := r.Charge()
		if err != nil || c.Reference != "a" || c.Amount != 4200 {
			t.Fatalf("got charge %+v, error %v, want one for order a", c, err)
		}
		ids = append(ids, c.ID)
	}
	if ids[0] == ids[1] || ids[1] == ids[2] {
		t.Errorf("got IDs %v, want three charges", ids)
	}
	if got := ledger.Counts()["a"]; got != 3 || api.Orders() != 3 {
		t.Errorf("got %d charges of %d orders, want 3 of 3: the API must have no idempotency of its own", got, api.Orders())
	}
	resp, err := http.Get(url + "/charges?reference=a")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list struct {
		Count   int
		Charges []Charge
	}
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || list.Count != 3 || list.Charges[2].ID != ids[2] {
		t.Errorf("got list %+v, error %v, want the 3 charges", list, err)
	}
}

func TestAPIRefusesWhatItCannotCharge(t *testing.T) {
	t.Parallel()
	_, ledger, url := startAPI(t, 0)
	for body, want := range map[string]string{
		`{"amount":0,"currency":"EUR","reference":"a"}`:    "amount",
		`{"amount":1,"currency":"Euros","reference":"a"}`:  "currency",
		`{"amount":1,"currency":"EUR"}`:                    "reference",
		`{"amount":"1","currency":"EUR","reference":"a"}`:  "readable",
		`{"amount":1,"currency":"EUR","reference":"a"`:     "readable",
		`{"amount":-1,"currency":"EUR","reference":"a"} x`: "amount",
	} {
		resp, err := http.Post(url+"/charges", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(string(answer), want) {
			t.Errorf("%s: got %d %s, want 422 that names %s", body, resp.StatusCode, answer, want)
		}
	}
	if n := len(ledger.Charges()); n != 0 {
		t.Errorf("got %d charges, want none", n)
	}
}

func TestAPIChargesThoughTheClientHangsUp(t *testing.T) {
	t.Parallel()
	api, ledger, url := startAPI(t, 50*time.Millisecond)
	ctx, hangUp := context.WithCancel(t.Context())
	done := make(chan Result)
	go func() {
		client := Client{URL: url, Tries: 1}
		done <- client.Pay(ctx, "k", order("a"))
	}()
	until(t, func() bool { return api.Orders() == 1 })
	hangUp()
	if r := <-done; r.Kind != Unanswered {
		t.Errorf("got %v, want unanswered", r.Kind)
	}
	until(t, func() bool { return api.InFlight() == 0 })
	if got := ledger.Counts()["a"]; got != 1 {
		t.Errorf("got %d charges, want 1", got)
	}
}

// until waits for a condition.
func until(t *testing.T, condition func() bool) {
	t.Helper()
	for start := time.Now(); !condition(); runtime.Gosched() {
		if time.Since(start) > 10*time.Second {
			t.Fatal("waited 10 s in vain")
		}
	}
}
