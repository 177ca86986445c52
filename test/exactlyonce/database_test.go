package exactlyonce

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/sqlitestore"
)

// A kind is a kind of database.
type kind struct {
	// start starts the server, if there is one, for the time of the test, and returns where a new database is.
	start func(t *testing.T) (place string)
	// open opens the database, with the table of payments and the store in it.
	open func(ctx context.Context, place string) (*database, error)
}

// A database holds the payments and the operations. The payments are in a table with the columns operation and receipt.
type database struct {
	store interface {
		refrain.Store
		refrain.Lister
	}
	secret []byte
	sql    *sql.DB
	insert string // of a payment
}

func (d *database) close() {
	_ = d.store.Close()
	_ = d.sql.Close()
}

var kinds = map[string]kind{
	"mariadb":  {start: startMariaDB, open: openMariaDB},
	"postgres": {start: startPostgres, open: openPostgres},
	"sqlite": {
		start: func(t *testing.T) string { return filepath.Join(t.TempDir(), "shop.db") },
		open:  openSQLite,
	},
}

func openSQLite(ctx context.Context, file string) (*database, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	store, err := sqlitestore.New(ctx, db, sqlitestore.Config{})
	if err != nil {
		return nil, err
	}
	secret, err := store.Secret(ctx)
	if err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS payments (operation BLOB NOT NULL, receipt TEXT NOT NULL)")
	return &database{store, secret, db, "INSERT INTO payments (operation, receipt) VALUES (?, ?)"}, err
}
