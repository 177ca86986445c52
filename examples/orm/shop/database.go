package shop

import (
	"context"
	"database/sql"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/pgstore"
	"github.com/refrain-dev/refrain/sqlitestore" // and the driver "sqlite"
)

// A DB is the shop's database, in which the store is too.
type DB struct {
	*sql.DB
	Postgres bool // or else it is SQLite

	Store interface {
		refrain.Store
		refrain.Lister
		Secret(ctx context.Context) ([]byte, error)
	}
}

// Open opens a PostgreSQL database, or a file of SQLite's.
func Open(ctx context.Context, url string) (*DB, error) {
	if strings.HasPrefix(url, "postgres:") || strings.HasPrefix(url, "postgresql:") {
		return openPostgres(ctx, url)
	}
	db, err := sql.Open("sqlite", "file:"+url+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)")
	if err != nil {
		return nil, err
	}
	store, err := sqlitestore.New(ctx, db, sqlitestore.Config{})
	return &DB{DB: db, Store: store}, err
}

func openPostgres(ctx context.Context, url string) (*DB, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, err
	}
	if err := pgstore.Migrate(ctx, url, ""); err != nil {
		return nil, err
	}
	store, err := pgstore.Open(ctx, url, pgstore.Config{})
	return &DB{DB: db, Postgres: true, Store: store}, err
}
