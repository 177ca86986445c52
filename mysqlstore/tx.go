package mysqlstore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/refrain-dev/refrain"
)

// A Tx is a transaction of a caller's: a *sql.Tx, or what has its methods, such as a *sql.Conn on which a transaction was begun.
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// SettleTx implements refrain.TxSettler for a [Tx] on the server that has the store's database; the transaction's own database
// may be another. It may be at any isolation level, for what it reads of the store it locks.
//
// Until the transaction ends, the operation is in flight for all others, also when its lease has lapsed and it may be taken over.
func (s *Store) SettleTx(ctx context.Context, tx any, t refrain.Settlement) (refrain.Record, error) {
	r, err := s.settleTx(ctx, tx, &t)
	return r, wrap("settling in a transaction", t.ID, err)
}

func (s *Store) settleTx(ctx context.Context, given any, t *refrain.Settlement) (refrain.Record, error) {
	tx, ok := given.(Tx)
	if _, pool := given.(*sql.DB); !ok || pool {
		return refrain.Record{}, fmt.Errorf("%w: it is a %T, not a *sql.Tx", refrain.ErrNoTx, given)
	}
	if err := s.enter(); err != nil {
		return refrain.Record{}, err
	}
	defer s.leave()
	s.known.forget(t.ID, t.Token) // whoever settles it otherwise waits for this transaction, and nobody else waits with it
	t.Outcome, t.Tombstone = s.fitting(t.ID, t.Outcome), countable(t)
	f, err := s.lock(ctx, tx, t.ID)
	if err != nil {
		return refrain.Record{}, err
	}
	next, err := t.ApplyTx(f.record(), f.now)
	if err != nil {
		return next, err
	}
	for i, st := range s.moveFor(ctx, f, &next) {
		res, err := tx.ExecContext(ctx, s.qualify(st.query), st.args...)
		if number(err) == errNoPartition {
			err = errors.Join(err, s.parts.load(ctx)) // whoever tries again knows
		}
		if err != nil {
			return refrain.Record{}, unavailable(err)
		}
		if n, err := res.RowsAffected(); i == 0 && (err != nil || n != 1) {
			return refrain.Record{}, errors.Join(err, refrain.ErrStale)
		}
	}
	return next, nil
}

// qualify puts the store's database in front of the names of its tables.
func (s *Store) qualify(query string) string {
	return strings.ReplaceAll(query, "{db}", "`"+strings.ReplaceAll(s.name, "`", "``")+"`.")
}

// The statements that look at an operation in a transaction of a caller's. They read what was committed last, whatever the
// transaction has seen before.
const (
	txStore = "SELECT (SELECT value FROM {db}refrain_meta WHERE name = 'identity'), " + nowSQL + ", {begun}"
	txLive  = `SELECT 0, id, state, token, fence, fingerprint, created, lease, 0, 0, 0, 0, 0, answer
FROM {db}refrain_live WHERE id = ? FOR UPDATE`
	txDone = `SELECT 1, d.id, 3, d.token, d.fence, d.fingerprint, d.created, 0, d.settled, d.retain, d.forget,
	d.bucket, d.kept, o.record
FROM {db}refrain_done d LEFT JOIN {db}refrain_outcomes o ON o.fence = d.fence AND o.bucket = d.kept
WHERE d.id = ? LOCK IN SHARE MODE`
)

// lock looks at an operation and keeps others from changing it until the transaction ends.
func (s *Store) lock(ctx context.Context, tx Tx, id refrain.ID) (*found, error) {
	f := &found{id: id}
	var identity []byte
	var now int64
	var begun bool
	look := strings.Replace(s.qualify(txStore), "{begun}", s.begun(), 1)
	err := each(ctx, tx, look, nil, func(rows *sql.Rows) error { return rows.Scan(&identity, &now, &begun) })
	switch n := number(err); {
	case err == nil && !begun:
		return nil, fmt.Errorf("%w: a %T in which none was begun, or the server has rolled it back after an error", refrain.ErrNoTx, tx)
	case n == errNoSuchTable, err == nil && hex.EncodeToString(identity) != s.identity:
		return nil, fmt.Errorf("%w: the store is not on its server", refrain.ErrNoTx)
	case err != nil:
		return nil, unavailable(err)
	}
	f.now = at(now)
	for _, query := range []string{txLive, txDone} {
		err := each(ctx, tx, s.qualify(query), []any{id[:]}, func(rows *sql.Rows) error {
			r := &row{}
			if _, err := r.scan(rows); err != nil {
				return err
			}
			f.add(r)
			return nil
		})
		if err != nil {
			return nil, unavailable(err)
		}
		if f.current() != nil {
			break // what is live is not done
		}
	}
	return f, nil
}

// begun returns what tells whether there is a transaction: what has the methods may be a pool in disguise, and a *sql.Tx one
// that the server has rolled back by itself, as the victim of a deadlock, after which each statement is committed at once. MySQL
// has nothing that tells.
func (s *Store) begun() string {
	if !strings.Contains(s.settings.Load().version, "MariaDB") {
		return "1"
	}
	return "@@in_transaction OR NOT @@autocommit"
}

func each(ctx context.Context, tx Tx, query string, args []any, use func(*sql.Rows) error) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := use(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
