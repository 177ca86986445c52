package exactlyonce

import (
	"context"
	"database/sql"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
	"github.com/refrain-dev/refrain/pgstore"
)

// startPostgres returns the database's URL. The payments are in another schema than the store.
func startPostgres(t *testing.T) string {
	url := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
		return servers.StartPostgres(ctx, dir)
	}).URL("postgres")
	if err := pgstore.Migrate(t.Context(), url, ""); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE payments (operation bytea NOT NULL, receipt text NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	return url
}

func openPostgres(ctx context.Context, url string) (*database, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, err
	}
	if err := abandoned(ctx, db); err != nil {
		return nil, err
	}
	store, err := pgstore.Open(ctx, url, pgstore.Config{})
	if err != nil {
		return nil, err
	}
	secret, err := store.Secret(ctx)
	return &database{store, secret, db, "INSERT INTO payments (operation, receipt) VALUES ($1, $2)"}, err
}

// abandoned waits until the server has done what a killed service had told it to do last.
func abandoned(ctx context.Context, db *sql.DB) error {
	for {
		var others int
		err := db.QueryRowContext(ctx,
			"SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()").Scan(&others)
		if err != nil || others == 0 {
			return err
		}
		<-time.After(time.Millisecond)
	}
}
