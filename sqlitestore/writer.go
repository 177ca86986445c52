package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/refrain-dev/refrain"
)

// A writer makes all changes of one store. It takes whatever requests wait, decides them in one transaction, commits it, and
// only then answers. SQLite syncs a commit before it shows it to anybody.
type writer struct {
	store *Store
	conn  *sql.Conn // nil until it is needed, and after an error
	find  *sql.Stmt
	put   *sql.Stmt
	drop  *sql.Stmt

	crowded time.Time // when somebody else last had the lock
	sweeps  *time.Timer
}

// What a writer does with an operation.
const (
	selectRow = "SELECT head, record FROM refrain_operations WHERE id = ?"
	upsertRow = "INSERT INTO refrain_operations (id, due, head, record) VALUES (?, ?, ?, ?) " +
		"ON CONFLICT (id) DO UPDATE SET due = excluded.due, head = excluded.head, record = excluded.record"
	deleteRow    = "DELETE FROM refrain_operations WHERE id = ?"
	selectShared = "SELECT fence, clock FROM refrain_store"
	updateShared = "UPDATE refrain_store SET fence = ?, clock = ?"
)

func newWriter(s *Store) *writer { return &writer{store: s, sweeps: time.NewTimer(sweepEvery)} }

// run serves requests and sweeps until the store is closed.
func (w *writer) run() {
	defer close(w.store.idle)
	defer w.sweeps.Stop()
	for {
		select {
		case <-w.store.stop:
			w.store.queue.close(refrain.ErrClosed)
			w.disconnect()
			return
		case <-w.store.queue.wake:
			w.serve()
		case <-w.sweeps.C:
			w.sweeps.Reset(w.sweep())
		}
	}
}

// serve commits one group.
func (w *writer) serve() {
	w.yield()
	if err := w.lock(); err != nil {
		if !errors.Is(err, errDeserted) {
			w.store.queue.fail(unavailable(err))
		}
		return
	}
	group := w.store.queue.take()
	err := w.transact(func(t *turn) error {
		for _, r := range group {
			if err := t.decide(r); err != nil {
				return err
			}
		}
		return nil
	})
	for _, r := range group {
		r.answer(err)
	}
}

// fairness is for how long a writer lets others go first after each commit once it has met some: they cannot tell when the
// lock is free, they only look now and then.
const fairness = 300 * time.Microsecond

func (w *writer) yield() {
	if !w.crowded.IsZero() && time.Since(w.crowded) < time.Second {
		w.pause(fairness)
	}
}

func (w *writer) pause(d time.Duration) (open bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-w.store.stop:
		return false
	}
}

// errDeserted says that nobody waits any more for the lock.
var errDeserted = errors.New("nobody waits")

// lock begins a transaction with the file's write lock. It waits for that for as long as anybody waits for an answer.
func (w *writer) lock() error {
	for wait := shortestWait; ; wait = min(2*wait, longestWait) {
		err := w.begin()
		if !busy(err) {
			return err
		}
		if !w.store.queue.prune() {
			return errDeserted
		}
		if !w.pause(wait) {
			return refrain.ErrClosed
		}
	}
}

// begin begins a transaction with the file's write lock, if that is free.
func (w *writer) begin() error {
	if err := w.store.Err(); err != nil {
		return err
	}
	if err := w.connect(); err != nil {
		w.disconnect()
		return err
	}
	err := w.exec("BEGIN IMMEDIATE")
	switch {
	case busy(err):
		w.crowded = time.Now()
	case err != nil:
		w.disconnect()
	default:
		err = w.sameFiles()
	}
	return err
}

// sameFiles sees to it that others find what is written now.
func (w *writer) sameFiles() error {
	name, err := w.store.files.gone()
	if name == "" && err == nil {
		return nil
	}
	w.disconnect()
	if err != nil {
		return err
	}
	w.store.log.Error("store stops: its file was removed or replaced", "file", name)
	return w.store.fault.fail(ErrReplaced)
}

func (w *writer) exec(statement string) error {
	_, err := w.conn.ExecContext(context.Background(), statement)
	return err
}

// connect takes the connection, if there is none, and makes sure of what the promise rests on.
func (w *writer) connect() (err error) {
	if w.conn != nil {
		return nil
	}
	ctx := context.Background()
	if w.conn, err = w.store.write.Conn(ctx); err != nil {
		return err
	}
	if err := strict(ctx, w.conn); err != nil {
		return err
	}
	for text, into := range map[string]**sql.Stmt{selectRow: &w.find, upsertRow: &w.put, deleteRow: &w.drop} {
		if *into, err = w.conn.PrepareContext(ctx, text); err != nil { //nolint:sqlclosecheck // disconnect closes it
			return err
		}
	}
	return nil
}

// strict returns an error unless a commit on the connection is synced before it is shown.
func strict(ctx context.Context, conn *sql.Conn) error {
	var mode string
	var synchronous int
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil {
		return err
	}
	if mode != "wal" || synchronous < synchronousFull {
		return fmt.Errorf("the file has journal mode %s and synchronous %d, and needs wal and %d", mode, synchronous, synchronousFull)
	}
	return nil
}

// synchronousFull is what SQLite calls FULL: every commit is synced.
const synchronousFull = 2

// disconnect throws the connection away, with whatever transaction there is on it.
func (w *writer) disconnect() {
	if w.conn == nil {
		return
	}
	for _, s := range []*sql.Stmt{w.find, w.put, w.drop} {
		if s != nil {
			_ = s.Close()
		}
	}
	_ = w.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = w.conn.Close()
	w.conn, w.find, w.put, w.drop = nil, nil, nil, nil
}

// transact runs the body in the transaction that was begun, and commits it unless nothing was changed. With an error, nothing
// or everything was.
func (w *writer) transact(body func(*turn) error) error {
	t := &turn{writer: w}
	err := t.begin()
	if err == nil {
		err = body(t)
	}
	if err == nil {
		err = t.end()
	}
	if err != nil {
		w.disconnect() // which rolls back
		w.store.log.Error("a commit failed", "err", err)
		return unavailable(err)
	}
	return nil
}
