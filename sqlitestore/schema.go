package sqlitestore

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
)

// schemaVersion is that of the tables in schema.sql. It stands in a table of the store's, for the file's user_version is the
// application's where both share a file.
const schemaVersion = 1

//go:embed schema.sql
var schema string

// prepare puts the file into WAL mode, makes the tables if they are not there, and reads what the processes share.
func (s *Store) prepare(ctx context.Context) error {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return unavailable(err)
	}
	defer conn.Close()
	err = patiently(ctx, func() error { return useWAL(ctx, conn) })
	if err == nil {
		err = patiently(ctx, func() error { return s.makeTables(ctx, conn) })
	}
	if err != nil && !errors.Is(err, ErrSchema) {
		return unavailable(err)
	}
	return err
}

func useWAL(ctx context.Context, conn *sql.Conn) error {
	var mode string
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("its journal mode is %s and cannot be made wal, which needs a file system with shared memory", mode)
	}
	return nil
}

func (s *Store) makeTables(ctx context.Context, conn *sql.Conn) (err error) {
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // there may be none any more
		}
	}()
	made, err := hasTables(ctx, conn)
	if err != nil {
		return err
	}
	if !made {
		if err := create(ctx, conn); err != nil {
			return fmt.Errorf("making its tables: %w", err)
		}
	}
	if err := s.readShared(ctx, conn); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

func hasTables(ctx context.Context, conn *sql.Conn) (made bool, err error) {
	const query = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'refrain_store'"
	err = conn.QueryRowContext(ctx, query).Scan(&made)
	return made, err
}

func create(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, schema); err != nil {
		return err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails since Go 1.24
	const insert = "INSERT INTO refrain_store (one, version, secret, fence, clock) VALUES (1, ?, ?, 0, 0)"
	_, err := conn.ExecContext(ctx, insert, schemaVersion, secret)
	return err
}

func (s *Store) readShared(ctx context.Context, conn *sql.Conn) error {
	var version int
	err := conn.QueryRowContext(ctx, "SELECT version, secret FROM refrain_store").Scan(&version, &s.secret)
	switch {
	case err != nil:
		return fmt.Errorf("reading what the store shares: %w", err)
	case version > schemaVersion:
		return fmt.Errorf("%w: they are of version %d, and this program knows %d", ErrSchema, version, schemaVersion)
	case len(s.secret) != 32:
		return fmt.Errorf("reading what the store shares: its secret has %d bytes", len(s.secret))
	}
	return nil
}
