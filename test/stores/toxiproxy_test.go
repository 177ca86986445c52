package stores

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/refrain-dev/refrain"
)

// poisons are what toxiproxy does to the server's answers while a call waits for its own.
var poisons = map[string]string{
	"cut before the first byte":        `{"type": "limit_data", "attributes": {"bytes": 0}}`,
	"cut behind the first byte":        `{"type": "limit_data", "attributes": {"bytes": 1}}`,
	"cut in the head":                  `{"type": "limit_data", "attributes": {"bytes": 6}}`,
	"cut in the middle":                `{"type": "limit_data", "attributes": {"bytes": 40}}`,
	"reset":                            `{"type": "reset_peer", "attributes": {"timeout": 0}}`,
	"withheld":                         `{"type": "timeout", "attributes": {"timeout": 0}}`,
	"in slices, which does not matter": `{"type": "slicer", "attributes": {"average_size": 3, "size_variation": 1, "delay": 10}}`,
}

// TestToxiproxy loses the answers to a claim, to its finish and to the commit of a transaction, with toxiproxy between the store and a
// real server. Whoever asks again is told what is true, nobody else may run, and the outcome stands.
func TestToxiproxy(t *testing.T) {
	t.Parallel()
	for name, kind := range sharing {
		if name == "sqlitestore" { // there is no network
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVictim(t, kind, name)
			for poison, toxic := range poisons {
				t.Run(poison, func(t *testing.T) {
					for range 3 {
						v.claimAndFinish(t, toxic)
						v.commit(t, toxic)
					}
				})
			}
			t.Logf("lost answers: %v", v.lost)
			for step, least := range map[string]int{"claim": 12, "finish": 12, "commit": 12} {
				if v.lost[step] < least && (step != "commit" || v.app != nil) {
					t.Errorf("%s: got %d lost answers, want %d: what was to be shown did not happen", step, v.lost[step], least)
				}
			}
		})
	}
}

// A victim uses a server through toxiproxy.
type victim struct {
	proxy         *toxiproxy.Proxy
	store, direct refrain.Store // direct is not poisoned
	app           *sql.DB       // through the proxy; nil if the server has no transactions
	lost          map[string]int
}

func newVictim(t *testing.T, kind shared, name string) *victim {
	t.Helper()
	place := kind.start(t)
	u, err := url.Parse(place)
	if err != nil {
		t.Fatal(err)
	}
	log := zerolog.Nop()
	v := &victim{lost: make(map[string]int)}
	v.proxy = toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), log), name, "127.0.0.1:0", u.Host)
	if err := v.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.proxy.Stop)
	through := strings.Replace(place, u.Host, v.proxy.Listen, 1)
	v.store, v.direct = opened(t, kind, through), opened(t, kind, place)
	switch name {
	case "pgstore":
		v.app, err = sql.Open("pgx", through)
	case "mysqlstore":
		v.app, err = sql.Open("mysql", fmt.Sprintf("refrain@tcp(%s)/refrain", v.proxy.Listen))
	}
	if err == nil && v.app != nil {
		t.Cleanup(func() { _ = v.app.Close() })
		_, err = v.app.ExecContext(t.Context(), "CREATE TABLE payments (operation varchar(64) NOT NULL)")
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func opened(t *testing.T, kind shared, place string) refrain.Store {
	t.Helper()
	s, err := kind.open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// poisoned makes the call while the answers are poisoned, and until it ends or has waited for long.
func (v *victim) poisoned(t *testing.T, step, toxic string, call func() error) {
	t.Helper()
	w, err := v.proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err = <-done:
		_ = v.proxy.Toxics.RemoveToxic(context.Background(), w.Name)
	case <-time.After(time.Second):
		_ = v.proxy.Toxics.RemoveToxic(context.Background(), w.Name)
		err = <-done
	}
	if err != nil {
		v.lost[step]++
	}
}

// until calls again and again until there is an answer, as the store's connections come back.
func until(t *testing.T, call func(ctx context.Context) error) error {
	t.Helper()
	for tries := 0; ; tries++ {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		err := call(ctx)
		cancel()
		if !errors.Is(err, refrain.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) || tries == 10 {
			return err
		}
	}
}

func payment() (c refrain.Claim, finish refrain.Settlement) {
	c = refrain.Claim{Token: refrain.NewToken(), Lease: time.Hour}
	_, _ = rand.Read(c.ID[:])
	return c, refrain.Settlement{
		ID: c.ID, Token: c.Token, Ending: refrain.Finished, Retention: time.Hour, Tombstone: time.Hour,
		Outcome: &refrain.Outcome{Status: 201, Body: []byte("paid")},
	}
}

func (v *victim) claimAndFinish(t *testing.T, toxic string) {
	t.Helper()
	c, finish := payment()
	v.poisoned(t, "claim", toxic, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		_, err := v.store.Claim(ctx, c)
		return err
	})
	v.expect(t, v.store, c, refrain.Run) // the claim knows itself
	v.expect(t, v.direct, rival(c), refrain.InFlight)
	v.poisoned(t, "finish", toxic, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		_, err := v.store.Settle(ctx, finish)
		return err
	})
	err := until(t, func(ctx context.Context) error { _, err := v.store.Settle(ctx, finish); return err })
	if err != nil {
		t.Errorf("finishing again: got error %v, want none", err)
	}
	if d := v.expect(t, v.direct, rival(c), refrain.Replay); string(d.Record.Outcome.Body) != "paid" {
		t.Errorf("got the outcome %q", d.Record.Outcome.Body)
	}
}

// commit loses the answer to the commit of a transaction in which the operation was finished: it is done if and only if the row
// is there.
func (v *victim) commit(t *testing.T, toxic string) {
	t.Helper()
	if v.app == nil {
		return
	}
	c, finish := payment()
	v.expect(t, v.store, c, refrain.Run)
	var tx *sql.Tx
	err := until(t, func(context.Context) (err error) {
		if tx, err = v.begin(t, &finish); err != nil {
			err = fmt.Errorf("%w: %w", refrain.ErrUnavailable, err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	v.poisoned(t, "commit", toxic, func() error { return tx.Commit() })
	other := finish
	other.Ending, other.Outcome = refrain.Released, nil
	err = until(t, func(ctx context.Context) error { _, err := v.direct.Settle(ctx, other); return err }) // waits for the transaction
	if err != nil && !errors.Is(err, refrain.ErrStale) {
		t.Fatal(err)
	}
	err = until(t, func(context.Context) error { // who has not heard what became of it tries again
		_, err := v.begin(t, &finish)
		return err
	})
	if !errors.Is(err, refrain.ErrStale) {
		t.Errorf("in another transaction: got error %v, want %v", err, refrain.ErrStale)
	}
	r, err := v.direct.Get(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	var rows int
	err = until(t, func(ctx context.Context) error {
		err := v.app.QueryRowContext(ctx, "SELECT count(*) FROM payments WHERE operation = '"+c.ID.String()+"'").Scan(&rows)
		if err != nil {
			err = fmt.Errorf("%w: %w", refrain.ErrUnavailable, err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if done := r.State == refrain.StateDone; done != (rows == 1) || rows > 1 {
		t.Errorf("the operation is %v, and there are %d payments", r.State, rows)
	}
}

// begin begins a transaction, takes the payment in it, and finishes its operation.
func (v *victim) begin(t *testing.T, finish *refrain.Settlement) (*sql.Tx, error) {
	tx, err := v.app.BeginTx(context.WithoutCancel(t.Context()), nil)
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec("INSERT INTO payments (operation) VALUES ('" + finish.ID.String() + "')")
	if err == nil {
		_, err = v.store.(refrain.TxSettler).SettleTx(t.Context(), tx, *finish)
	}
	if err != nil {
		_ = tx.Rollback()
	}
	return tx, err
}

// rival returns the claim of another attempt at the operation.
func rival(c refrain.Claim) refrain.Claim {
	c.Token = refrain.NewToken()
	return c
}

func (v *victim) expect(t *testing.T, s refrain.Store, c refrain.Claim, want refrain.Verdict) (d refrain.Decision) {
	t.Helper()
	err := until(t, func(ctx context.Context) (err error) { d, err = s.Claim(ctx, c); return err })
	if err != nil || d.Verdict != want {
		t.Fatalf("claiming: got %v, error %v, want %v", d.Verdict, err, want)
	}
	return d
}
