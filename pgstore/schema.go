package pgstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Version is that of the schema that this package needs.
const Version = 4

// versionTable is where goose keeps the versions.
const versionTable = "schema_version"

// Migrate brings the schema to the Version that this package needs, step by step, and makes it if it is not there. Stores may
// be in use meanwhile. The error is [ErrSchema] if the schema is newer.
func Migrate(ctx context.Context, url, schema string) error {
	return MigrateTo(ctx, url, schema, Version)
}

// MigrateTo brings the schema to a version from 0 to Version, upwards or back. Version 0 has no tables: going back to it forgets
// all operations. A store that needs a later version than there is refuses every call until it is back.
func MigrateTo(ctx context.Context, url, schema string, version int) error {
	if schema == "" {
		schema = Config{}.withDefaults().Schema
	}
	m, err := newMigration(url, schema)
	if err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	defer func() { _ = m.db.Close() }()
	if err := m.run(ctx, version); err != nil {
		return fmt.Errorf("migrating the schema %s to version %d: %w", schema, version, err)
	}
	return nil
}

// A migration changes a schema.
type migration struct {
	db     *sql.DB
	schema string
}

// plainName is what goose can take for the name of a schema, which it does not quote.
var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

func newMigration(url, schema string) (*migration, error) {
	if !plainName.MatchString(schema) {
		return nil, fmt.Errorf("%q is no name for the schema: it has up to 63 lower-case letters, digits and underscores", schema)
	}
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	cfg.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	return &migration{stdlib.OpenDB(*cfg), schema}, nil
}

// run migrates alone: whoever else wants to waits.
func (m *migration) run(ctx context.Context, version int) error {
	alone, err := m.db.BeginTx(ctx, nil)
	if err != nil {
		return unavailable(err)
	}
	defer func() { _ = alone.Rollback() }()
	_, err = alone.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", "refrain migrates "+m.schema)
	if err != nil {
		return unavailable(err)
	}
	if err := m.make(ctx); err != nil {
		return unavailable(err)
	}
	steps, err := m.steps()
	if err != nil {
		return err
	}
	return m.step(ctx, steps, version)
}

// make makes the schema if it is not there. It looks first: IF NOT EXISTS asks for the right to make schemas even then.
func (m *migration) make(ctx context.Context) error {
	var there bool
	err := m.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", m.schema).Scan(&there)
	if err == nil && !there {
		_, err = m.db.ExecContext(ctx, "CREATE SCHEMA "+m.quoted())
	}
	return err
}

func (m *migration) step(ctx context.Context, steps []*goose.Migration, version int) error {
	p, err := goose.NewProvider(goose.DialectPostgres, m.db, nil, goose.WithGoMigrations(steps...),
		goose.WithTableName(m.schema+"."+versionTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	now, err := p.GetDBVersion(ctx)
	switch {
	case err != nil:
		return unavailable(err)
	case now > Version:
		return newer(int(now))
	case now > int64(version):
		_, err = p.DownTo(ctx, int64(version))
	case now < int64(version):
		_, err = p.UpTo(ctx, int64(version))
	}
	return err
}

// steps returns the steps of the embedded files, N_name.up.sql and N_name.down.sql.
func (m *migration) steps() (steps []*goose.Migration, err error) {
	for n := range int64(Version) {
		up, err := script(n+1, "up")
		if err != nil {
			return nil, err
		}
		down, err := script(n+1, "down")
		if err != nil {
			return nil, err
		}
		steps = append(steps, goose.NewGoMigration(n+1, &goose.GoFunc{RunTx: m.runs(up)}, &goose.GoFunc{RunTx: m.runs(down)}))
	}
	return steps, nil
}

func script(n int64, direction string) (string, error) {
	names, err := fs.Glob(schemaFiles, fmt.Sprintf("schema/%d_*.%s.sql", n, direction))
	if err != nil || len(names) != 1 {
		return "", fmt.Errorf("step %d %s: %d files, %w", n, direction, len(names), err)
	}
	text, err := schemaFiles.ReadFile(names[0])
	return string(text), err
}

// runs returns a step that runs a script in the schema. It gives up soon rather than have everybody wait behind it.
func (m *migration) runs(script string) func(context.Context, *sql.Tx) error {
	return func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "SET LOCAL search_path = "+m.quoted()+", pg_temp; SET LOCAL lock_timeout = '3s';"+script)
		return err
	}
}

func (m *migration) quoted() string { return pgx.Identifier{m.schema}.Sanitize() }

func newer(version int) error {
	return fmt.Errorf("%w: version %d is newer than this program, which knows %d", ErrSchema, version, Version)
}

// checkVersion checks that the schema is in the version that this package needs.
func checkVersion(ctx context.Context, pool *pgxpool.Pool, schema string) error {
	var version int
	table := pgx.Identifier{schema, versionTable}.Sanitize()
	err := pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM "+table+" WHERE is_applied").Scan(&version)
	var p *pgconn.PgError
	switch {
	case errors.As(err, &p) && (p.Code == "42P01" || p.Code == "3F000"):
		version = 0
	case err != nil:
		return unavailable(err)
	}
	switch {
	case version > Version:
		return newer(version)
	case version < Version:
		return fmt.Errorf("%w: %s has version %d, not %d: run refrain migrate", ErrSchema, schema, version, Version)
	}
	return nil
}
