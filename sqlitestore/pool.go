package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	sqlite "modernc.org/sqlite"
)

// readers is how many connections read at a time.
const readers = 4

// pool returns connections to the file. None waits for a lock: whoever wants to wait does so with [patiently].
func pool(path string, size int, readOnly bool) (*sql.DB, error) {
	q := url.Values{"_pragma": {
		"busy_timeout(0)", "synchronous(FULL)", "fullfsync(1)", "checkpoint_fullfsync(1)", // the last two are for macOS
	}}
	if readOnly {
		q.Set("_query_only", "1")
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}
	c, err := sqlite.NewConnector(u.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}

// The waits between two attempts to get a lock.
const (
	shortestWait = 200 * time.Microsecond
	longestWait  = 4 * time.Millisecond
)

// patiently makes the call again and again while others have the lock, until ctx ends.
func patiently(ctx context.Context, call func() error) error {
	for wait := shortestWait; ; wait = min(2*wait, longestWait) {
		err := call()
		if err == nil || !busy(err) {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// fileOf returns the file of a database that was opened with the SQLite that the store uses.
func fileOf(ctx context.Context, db *sql.DB) (file string, err error) {
	memory, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return "", err
	}
	defer memory.Close()
	own, err := build(ctx, memory)
	if err != nil {
		return "", err
	}
	theirs, err := build(ctx, db)
	if err != nil {
		return "", err
	}
	if !slices.Equal(own, theirs) {
		return "", fmt.Errorf("its driver, %T, has another SQLite than modernc.org/sqlite, and two in one process undo each "+
			"other's locks", db.Driver())
	}
	const query = "SELECT file FROM pragma_database_list WHERE name = 'main'"
	if err := db.QueryRowContext(ctx, query).Scan(&file); err != nil {
		return "", err
	}
	if file == "" {
		return "", errors.New("it is in memory, and the store needs a file")
	}
	return file, nil
}

// build says which SQLite a database was opened with: its source, and how it was compiled.
func build(ctx context.Context, db *sql.DB) (all []string, err error) {
	rows, err := db.QueryContext(ctx, "SELECT sqlite_source_id() UNION ALL SELECT compile_options FROM pragma_compile_options")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, err
		}
		all = append(all, line)
	}
	return all, rows.Err()
}
