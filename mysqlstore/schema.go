package mysqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
)

// Version is that of the schema that this package needs.
const Version = 1

// ErrSchema says that a database has another schema than this package needs: [Migrate] makes an older one right.
var ErrSchema = errors.New("the schema has another version")

//go:embed migrations/*.sql
var migrations embed.FS

// schemaTable is where the versions are noted that a database has got.
const schemaTable = "refrain_schema"

// otherSchema returns the error for a version that is not the one wanted.
func otherSchema(have, want int64) error {
	if have > want {
		return fmt.Errorf("%w: it is %d, and this program knows %d: the program is older than the database", ErrSchema, have, want)
	}
	return fmt.Errorf("%w: it is %d, and this program needs %d: refrain migrate makes it so", ErrSchema, have, want)
}

// Migrate brings the database that the URL names to the schema of this program. Stores may be at work on it meanwhile. The error
// is ErrSchema when the database is newer.
func Migrate(ctx context.Context, url string) error { return MigrateTo(ctx, url, Version) }

// MigrateTo brings the database to a version of the schema, forwards or back. Version 0 is without tables: with them goes all
// that the store knew.
func MigrateTo(ctx context.Context, url string, version int) error {
	cfg, err := parseURL(url)
	if err != nil {
		return err
	}
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	if err := migrate(ctx, cfg, steps, int64(version)); err != nil {
		return fmt.Errorf("migrating the database %s: %w", cfg.DBName, err)
	}
	return nil
}

func migrate(ctx context.Context, driver *mysql.Config, steps fs.FS, version int64) error {
	var cfg Config
	cfg.setDefaults()
	db, err := openDB(driver, &cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	unlock, err := lock(ctx, db)
	if err != nil {
		return err
	}
	defer unlock()
	p, err := goose.NewProvider(goose.DialectMySQL, db, steps,
		goose.WithTableName(schemaTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	known := p.ListSources()
	latest := known[len(known)-1].Version
	have, err := schemaVersion(ctx, db)
	switch {
	case err != nil:
		return err
	case have > latest:
		return otherSchema(have, latest)
	case version > latest || version < 0:
		return fmt.Errorf("there is no version %d: the newest is %d", version, latest)
	case version < have:
		_, err = p.DownTo(ctx, version)
	default:
		if err := dropUnbegun(ctx, db); err != nil {
			return err
		}
		_, err = p.UpTo(ctx, version)
	}
	return err
}

// checkSchema returns a SchemaError unless the database has the schema of this program.
func checkSchema(ctx context.Context, db *sql.DB) error {
	have, err := schemaVersion(ctx, db)
	if err == nil && have != Version {
		return otherSchema(have, Version)
	}
	return err
}

// schemaVersion returns the newest version that the database has, 0 if it has none.
func schemaVersion(ctx context.Context, db *sql.DB) (version int64, err error) {
	err = db.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+schemaTable).Scan(&version)
	if number(err) == errNoSuchTable {
		return 0, nil
	}
	return version, err
}

// dropUnbegun drops a table of versions without a row: whoever made it died before its first, and goose asks for that.
func dropUnbegun(ctx context.Context, db *sql.DB) error {
	var begun bool
	err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+schemaTable+")").Scan(&begun)
	if number(err) == errNoSuchTable {
		return nil
	}
	if err == nil && !begun {
		_, err = db.ExecContext(ctx, "DROP TABLE "+schemaTable)
	}
	return err
}

// lock lets one process at a time migrate a database: it waits for up to a minute. It is held around all that goose does, which
// by itself looks at its table before it takes a lock and so at times meets one that another is making. Its connection is silent
// for as long as the steps take.
func lock(ctx context.Context, db *sql.DB) (unlock func(), err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	var got sql.NullInt64
	const query = "SET SESSION wait_timeout = 604800; SELECT GET_LOCK(CONCAT('refrain migrate ', MD5(DATABASE())), 60)"
	err = conn.QueryRowContext(ctx, query).Scan(&got)
	if err == nil && got.Int64 != 1 {
		err = errors.New("another process is migrating this database")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK(CONCAT('refrain migrate ', MD5(DATABASE())))")
		conn.Close()
	}, nil
}
