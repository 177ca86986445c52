package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// An application has a table of its own, of payments, in the store's file.
type application struct {
	*sql.DB
	t     *testing.T
	file  string
	store *Store
}

// dsn is how an application should open its database.
const dsn = "?_txlock=immediate&_pragma=busy_timeout(5000)"

func newApplication(t *testing.T, parameters string) *application {
	t.Helper()
	a := &application{t: t, file: newFile(t)}
	a.DB = openDB(t, a.file+parameters)
	if _, err := a.Exec("CREATE TABLE payments (operation BLOB NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), a.DB, Config{})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	a.store = s
	return a
}

func openDB(t *testing.T, name string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// pay begins a transaction that pays and settles the operation, and leaves it open.
func (a *application) pay(id refrain.ID, token refrain.Token) *sql.Tx {
	a.t.Helper()
	tx, err := a.BeginTx(a.t.Context(), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { tx.Rollback() })
	if _, err := tx.Exec("INSERT INTO payments (operation) VALUES (?)", id[:]); err != nil {
		a.t.Fatal(err)
	}
	if _, err := a.store.SettleTx(a.t.Context(), tx, finished(id, token)); err != nil {
		a.t.Fatal(err)
	}
	return tx
}

func (a *application) payments() (n int) {
	a.t.Helper()
	if err := a.QueryRow("SELECT count(*) FROM payments").Scan(&n); err != nil {
		a.t.Fatal(err)
	}
	return n
}

func finished(id refrain.ID, token refrain.Token) refrain.Settlement {
	return refrain.Settlement{
		ID: id, Token: token, Ending: refrain.Finished, Outcome: &refrain.Outcome{Status: 201, Body: []byte("paid")},
		Retention: time.Hour, Tombstone: time.Hour,
	}
}

// claimed claims a new operation.
func claimed(t *testing.T, s *Store, lease time.Duration) (id refrain.ID, token refrain.Token) {
	t.Helper()
	token = refrain.NewToken()
	copy(id[:], token[:])
	wantVerdict(t, s, refrain.Claim{ID: id, Token: token, Lease: lease}, refrain.Run)
	return id, token
}

func wantVerdict(t *testing.T, s *Store, c refrain.Claim, want refrain.Verdict) refrain.Decision {
	t.Helper()
	if c.Token == (refrain.Token{}) {
		c.Token = refrain.NewToken()
	}
	d, err := s.Claim(t.Context(), c)
	if err != nil || d.Verdict != want {
		t.Fatalf("Claim: got verdict %v, error %v, want %v", d.Verdict, err, want)
	}
	return d
}

// brief returns a context that ends while a test's transaction is open.
func brief(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestTransactionDecides(t *testing.T) {
	t.Parallel()
	a := newApplication(t, dsn)
	id, token := claimed(t, a.store, time.Hour)
	if err := a.pay(id, token).Rollback(); err != nil {
		t.Fatal(err)
	}
	wantVerdict(t, a.store, refrain.Claim{ID: id}, refrain.InFlight)
	forged := a.begin()
	if _, err := a.store.SettleTx(t.Context(), forged, finished(id, refrain.NewToken())); !errors.Is(err, refrain.ErrStale) {
		t.Errorf("a stranger's token while it runs: got error %v, want %v", err, refrain.ErrStale)
	}
	if err := forged.Rollback(); err != nil {
		t.Fatal(err)
	}
	if n := a.payments(); n != 0 {
		t.Errorf("after the rollback: got %d payments, want none", n)
	}
	if err := a.pay(id, token).Commit(); err != nil {
		t.Fatal(err)
	}
	d := wantVerdict(t, a.store, refrain.Claim{ID: id}, refrain.Replay)
	if n := a.payments(); n != 1 || string(d.Record.Outcome.Body) != "paid" {
		t.Errorf("after the commit: got %d payments and the outcome %q", n, d.Record.Outcome.Body)
	}
	late := a.begin()
	for name, token := range map[string]refrain.Token{"a stranger's": refrain.NewToken(), "who has not heard of the commit": token} {
		if _, err := a.store.SettleTx(t.Context(), late, finished(id, token)); !errors.Is(err, refrain.ErrStale) {
			t.Errorf("%s token: got error %v, want %v", name, err, refrain.ErrStale)
		}
	}
}

// TestAnAttachedFileIsAnotherFile settles in a transaction of a connection on another file that has the store's attached: in WAL
// mode, SQLite commits to two files one after the other, so that a crash leaves one of them behind.
func TestAnAttachedFileIsAnotherFile(t *testing.T) {
	t.Parallel()
	a := newApplication(t, dsn)
	id, token := claimed(t, a.store, time.Hour)
	other := openDB(t, newFile(t)+dsn)
	other.SetMaxOpenConns(1)
	if _, err := other.Exec("ATTACH ? AS store", a.file); err != nil {
		t.Fatal(err)
	}
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := a.store.SettleTx(t.Context(), tx, finished(id, token)); !errors.Is(err, refrain.ErrNoTx) {
		t.Errorf("got error %v, want %v", err, refrain.ErrNoTx)
	}
}

func (a *application) begin() *sql.Tx {
	a.t.Helper()
	tx, err := a.BeginTx(a.t.Context(), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { tx.Rollback() })
	return tx
}

// TestWhileATransactionIsOpen shows who waits for a transaction that has the lock, for how long, and who does not.
func TestWhileATransactionIsOpen(t *testing.T) {
	t.Parallel()
	a := newApplication(t, dsn)
	done, doneToken := claimed(t, a.store, time.Hour)
	if _, err := a.store.Settle(t.Context(), finished(done, doneToken)); err != nil {
		t.Fatal(err)
	}
	other, otherToken := claimed(t, a.store, time.Hour)
	id, token := claimed(t, a.store, time.Hour)
	tx := a.pay(id, token)

	wantVerdict(t, a.store, refrain.Claim{ID: done}, refrain.Replay)
	wantVerdict(t, a.store, refrain.Claim{ID: id}, refrain.InFlight)
	if all, err := a.store.List(t.Context(), refrain.ListQuery{State: refrain.StateRunning}); err != nil || len(all) != 2 {
		t.Errorf("List: got %d operations, error %v, want 2", len(all), err)
	}

	fresh := refrain.Claim{ID: refrain.ID{1}, Token: refrain.NewToken(), Lease: time.Hour}
	renewal := refrain.Renewal{ID: id, Token: token, Lease: time.Hour}
	release := refrain.Settlement{ID: other, Token: otherToken, Ending: refrain.Released}
	calls := map[string]func(ctx context.Context) error{
		"a new claim":      func(ctx context.Context) error { _, err := a.store.Claim(ctx, fresh); return err },
		"a renewal":        func(ctx context.Context) error { return a.store.Renew(ctx, renewal) },
		"another's ending": func(ctx context.Context) error { _, err := a.store.Settle(ctx, release); return err },
		"its own ending":   func(ctx context.Context) error { _, err := a.store.Settle(ctx, finished(id, token)); return err },
		"another transaction": func(ctx context.Context) error {
			_, err := a.store.SettleTx(ctx, begin(t, openDB(t, a.file)), finished(other, otherToken))
			return err
		},
	}
	for name, call := range calls {
		if err := call(brief(t)); !errors.Is(err, refrain.ErrUnavailable) {
			t.Errorf("%s: got error %v, want it to wait until its caller leaves", name, err)
		}
	}

	answers := make(chan error)
	for _, name := range []string{"a new claim", "its own ending", "another's ending"} {
		go func() { answers <- calls[name](t.Context()) }()
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-answers; err != nil {
			t.Errorf("after the commit: %v", err)
		}
	}
	wantVerdict(t, a.store, refrain.Claim{ID: id}, refrain.Replay)
	if err := a.store.Renew(t.Context(), renewal); !errors.Is(err, refrain.ErrStale) {
		t.Errorf("a renewal of what is done: got error %v, want %v", err, refrain.ErrStale)
	}
}

// TestHandlerAsksForAnotherOperation does what a handler must not do: inside its transaction it waits for the store, which waits
// for the transaction. It is told so in time, and its own operation is none the worse.
func TestHandlerAsksForAnotherOperation(t *testing.T) {
	t.Parallel()
	a := newApplication(t, dsn)
	g, err := refrain.New(a.store, refrain.Config{Secret: a.store.secret, StoreTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	nested := refrain.Operation{Scope: refrain.Scope{Route: "mail"}, Key: "k"}
	operation := refrain.Operation{Scope: refrain.Scope{Route: "pay"}, Key: "k"}
	mail := func(context.Context) (string, error) { return "sent", nil }
	pay := func(ctx context.Context) (string, error) {
		tx := a.begin()
		o, err := refrain.Result("paid")
		if err == nil {
			err = refrain.FromContext(ctx).FinishTx(ctx, tx, o)
		}
		if err != nil {
			return "", err
		}
		if _, err := refrain.Do(ctx, g, nested, mail); !errors.Is(err, refrain.ErrUnavailable) {
			t.Errorf("inside the transaction: got error %v, want %v", err, refrain.ErrUnavailable)
		}
		return "paid", tx.Commit()
	}
	for range 2 { // and then a replay
		if got, err := refrain.Do(t.Context(), g, operation, pay); got != "paid" || err != nil {
			t.Fatalf("got %q, error %v", got, err)
		}
	}
	if _, err := refrain.Do(t.Context(), g, nested, mail); err != nil {
		t.Errorf("after the transaction: %v", err)
	}
}

// TestAliveOwnerKeepsItsClaim lets a transaction hold the lock beyond the lease of another operation, whose owner renews it in
// vain. When the lock is free, it comes before whoever wants to take over.
func TestAliveOwnerKeepsItsClaim(t *testing.T) {
	t.Parallel()
	a := newApplication(t, dsn)
	const lease = 20 * time.Millisecond
	id, token := claimed(t, a.store, lease)
	tx := a.begin() // with the lock
	for {
		r, err := a.store.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if r.State == refrain.StateUnknown {
			break
		}
	}
	takeover := make(chan refrain.Decision)
	go func() {
		d, err := a.store.Claim(t.Context(), refrain.Claim{ID: id, Token: refrain.NewToken(), Lease: time.Hour, Rerun: true})
		if err != nil {
			t.Errorf("Claim: %v", err)
		}
		takeover <- d
	}()
	a.store.awaitQueue(1)
	renewal := make(chan error)
	go func() { renewal <- a.store.Renew(t.Context(), refrain.Renewal{ID: id, Token: token, Lease: time.Hour}) }()
	a.store.awaitQueue(2)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-renewal; err != nil {
		t.Errorf("Renew: %v", err)
	}
	if d := <-takeover; d.Verdict != refrain.InFlight {
		t.Errorf("the takeover: got verdict %v, want %v", d.Verdict, refrain.InFlight)
	}
}

// awaitQueue waits until so many requests wait.
func (s *Store) awaitQueue(n int) {
	for {
		s.queue.mu.Lock()
		waiting := len(s.queue.all)
		s.queue.mu.Unlock()
		if waiting >= n {
			return
		}
		runtime.Gosched()
	}
}

func TestSettleTxRefuses(t *testing.T) {
	t.Parallel()
	a := newApplication(t, dsn)
	id, token := claimed(t, a.store, time.Hour)
	refuses := func(what string, tx any, want error) {
		t.Helper()
		if _, err := a.store.SettleTx(t.Context(), tx, finished(id, token)); !errors.Is(err, want) {
			t.Fatalf("%s: got error %v, want %v", what, err, want)
		}
	}
	refuses("no transaction", a.DB, refrain.ErrNoTx)
	refuses("another store's file", newApplication(t, dsn).begin(), refrain.ErrNoTx)
	refuses("a file without a store", begin(t, openDB(t, newFile(t))), refrain.ErrNoTx)
	refuses("a commit that is not synced", begin(t, openDB(t, a.file+"?_pragma=synchronous(NORMAL)")), refrain.ErrNoTx)

	reader := begin(t, openDB(t, a.file)) // without the lock
	if err := reader.QueryRow("SELECT count(*) FROM payments").Scan(new(int)); err != nil {
		t.Fatal(err)
	}
	claimed(t, a.store, time.Hour)
	refuses("a transaction that was overtaken", reader, refrain.ErrUnavailable)
	ended := a.begin()
	ended.Rollback()
	refuses("a transaction that has ended", ended, refrain.ErrUnavailable)
	wantVerdict(t, a.store, refrain.Claim{ID: id}, refrain.InFlight)
}

func begin(t *testing.T, db *sql.DB) *sql.Tx {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tx.Rollback() })
	return tx
}

// TestSettleTxInNoTransaction settles where SQLite has rolled the transaction back by itself, of which database/sql knows nothing:
// the outcome would be committed at once, and without what belongs to it.
func TestSettleTxInNoTransaction(t *testing.T) {
	t.Parallel()
	a := newApplication(t, dsn)
	if _, err := a.Exec("CREATE TABLE names (name TEXT UNIQUE); INSERT INTO names VALUES ('taken')"); err != nil {
		t.Fatal(err)
	}
	id, token := claimed(t, a.store, time.Hour)
	tx := a.begin()
	if _, err := tx.Exec("INSERT INTO payments (operation) VALUES (?)", id[:]); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("INSERT OR ROLLBACK INTO names VALUES ('taken')"); err == nil {
		t.Fatal("there was no conflict")
	}
	for range 2 {
		if _, err := a.store.SettleTx(t.Context(), tx, finished(id, token)); !errors.Is(err, refrain.ErrNoTx) {
			t.Errorf("got error %v, want %v", err, refrain.ErrNoTx)
		}
	}
	if err := tx.Commit(); err == nil || a.payments() != 0 {
		t.Errorf("there are %d payments, error %v of the commit; want none and an error", a.payments(), err)
	}
	wantVerdict(t, a.store, refrain.Claim{ID: id}, refrain.InFlight)
	if err := a.pay(id, token).Commit(); err != nil {
		t.Errorf("once more: %v", err)
	}
}

// TestSettleTxTakesTheLock settles first thing in a transaction that began without the lock: nobody can come in between.
func TestSettleTxTakesTheLock(t *testing.T) {
	t.Parallel()
	a := newApplication(t, "")
	id, token := claimed(t, a.store, time.Hour)
	tx := a.begin()
	if _, err := a.store.SettleTx(t.Context(), tx, finished(id, token)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.store.Claim(brief(t), refrain.Claim{ID: refrain.ID{1}, Token: token}); !errors.Is(err, refrain.ErrUnavailable) {
		t.Errorf("got error %v, want %v: the transaction has the lock", err, refrain.ErrUnavailable)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	wantVerdict(t, a.store, refrain.Claim{ID: id}, refrain.Replay)
}

// TestSettleTxWaitsNoLongerThanItsCaller settles in a transaction whose connection waits for the lock for an hour, and which began
// without it.
func TestSettleTxWaitsNoLongerThanItsCaller(t *testing.T) {
	t.Parallel()
	a := newApplication(t, "?_pragma=busy_timeout(3600000)")
	id, token := claimed(t, a.store, time.Hour)
	holder := begin(t, openDB(t, a.file+dsn))
	tx := a.begin()
	ctx := brief(t)
	settled := make(chan error, 1)
	go func() {
		_, err := a.store.SettleTx(ctx, tx, finished(id, token))
		settled <- err
	}()
	select {
	case err := <-settled:
		if !errors.Is(err, refrain.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want %v", err, context.DeadlineExceeded)
		}
	case <-time.After(30 * time.Second):
		t.Error("it waits on")
	}
	_ = holder.Rollback()
	_ = tx.Rollback() // which SQLite may have done already, for it was interrupted
	wantVerdict(t, a.store, refrain.Claim{ID: id}, refrain.InFlight)
}
