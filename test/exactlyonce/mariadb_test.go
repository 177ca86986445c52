package exactlyonce

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
	"github.com/refrain-dev/refrain/mysqlstore"
)

// startMariaDB returns the server's address. The payments are in another database of the server than the store.
func startMariaDB(t *testing.T) string {
	server := servertest.Start(t, func(ctx context.Context, dir string) (*servers.MariaDB, error) {
		return servers.StartMariaDB(ctx, dir)
	})
	if err := mysqlstore.Migrate(t.Context(), server.URL()); err != nil {
		t.Fatal(err)
	}
	address := servers.Address(server.Port)
	db, err := sql.Open("mysql", fmt.Sprintf("refrain@tcp(%s)/", address))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE DATABASE shop"); err != nil {
		t.Fatal(err)
	}
	return address
}

func openMariaDB(ctx context.Context, address string) (*database, error) {
	db, err := sql.Open("mysql", fmt.Sprintf("refrain@tcp(%s)/shop", address))
	if err != nil {
		return nil, err
	}
	if err := alone(ctx, db); err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx,
		"CREATE TABLE IF NOT EXISTS payments (operation BINARY(32) NOT NULL, receipt VARCHAR(50) NOT NULL) ENGINE = InnoDB")
	if err != nil {
		return nil, err
	}
	store, err := mysqlstore.Open(ctx, "mysql://refrain@"+address+"/refrain", mysqlstore.Config{})
	if err != nil {
		return nil, err
	}
	secret, err := store.Secret(ctx)
	return &database{store, secret, db, "INSERT INTO shop.payments (operation, receipt) VALUES (?, ?)"}, err
}

// alone waits until the server has done what a killed service had told it to do last.
func alone(ctx context.Context, db *sql.DB) error {
	for {
		var others int
		err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM information_schema.processlist
WHERE user = 'refrain' AND id <> CONNECTION_ID()`).Scan(&others)
		if err != nil || others == 0 {
			return err
		}
		<-time.After(time.Millisecond)
	}
}
