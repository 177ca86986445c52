package mysqlstore

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/storetest"
)

func TestOpenWantsItsSchema(t *testing.T) {
	t.Parallel()
	url := empty(t, server(t))
	opens := func(want error) {
		t.Helper()
		s, err := Open(t.Context(), url, Config{})
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, want) {
			t.Fatalf("Open: got error %v, want %v", err, want)
		}
	}
	opens(ErrSchema)
	var all sync.WaitGroup
	for range 4 { // one of them does it
		all.Go(func() {
			if err := Migrate(t.Context(), url); err != nil {
				t.Errorf("Migrate: %v", err)
			}
		})
	}
	all.Wait()
	opens(nil)
	if err := MigrateTo(t.Context(), url, Version+1); err == nil {
		t.Error("got no error of a version that does not exist")
	}
	exec(t, openPlain(t, url), "INSERT INTO refrain_schema (version_id, is_applied) VALUES (99, 1)")
	opens(ErrSchema)
	if err := Migrate(t.Context(), url); !errors.Is(err, ErrSchema) {
		t.Errorf("Migrate of a newer schema: got error %v, want %v", err, ErrSchema)
	}
	exec(t, openPlain(t, url), "DELETE FROM refrain_schema WHERE version_id = 99")
	if err := MigrateTo(t.Context(), url, 0); err != nil {
		t.Fatalf("back: %v", err)
	}
	var n int
	err := openPlain(t, url).QueryRow("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()").Scan(&n)
	if err != nil || n != 1 { // that of the versions
		t.Errorf("got %d tables and error %v", n, err)
	}
	opens(ErrSchema)
}

// TestMigrateGoesOn begins where another died: its table of versions is there and has no row, or a part of the rest is there, too.
func TestMigrateGoesOn(t *testing.T) {
	t.Parallel()
	url := empty(t, server(t))
	exec(t, openPlain(t, url), `CREATE TABLE refrain_schema (id SERIAL PRIMARY KEY, version_id BIGINT NOT NULL,
		is_applied BOOLEAN NOT NULL, tstamp TIMESTAMP NULL DEFAULT NOW())`)
	if err := Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, url, Config{})
	defer s.Close()
	c := newClaim()
	claims(t, s, c, refrain.Run)
	for _, undo := range []string{"SELECT 1", "DROP PROCEDURE refrain_group", "DROP TABLE refrain_numbers"} {
		exec(t, openPlain(t, url), "DELETE FROM refrain_schema WHERE version_id = 1")
		exec(t, openPlain(t, url), undo)
		if err := Migrate(t.Context(), url); err != nil {
			t.Fatalf("after it died before %q was done: %v", undo, err)
		}
	}
	settles(t, s, finish(&c, "paid"), nil)
	claims(t, s, again(c), refrain.Replay)
}

// TestMigrateAtOnce has several processes make each of many databases.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	for range 20 {
		url := empty(t, server(t))
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := Migrate(t.Context(), url); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}

// TestWhoMigratedIsGone migrates as a user who has no more rights than that takes, and is then dropped: others use what it made.
func TestWhoMigratedIsGone(t *testing.T) {
	t.Parallel()
	url := empty(t, server(t))
	db := openPlain(t, url)
	cfg, err := parseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	maker, user := "maker_"+cfg.DBName+"@'127.0.0.1'", "user_"+cfg.DBName+"@'127.0.0.1'"
	exec(t, db, "CREATE USER "+maker+", "+user)
	exec(t, db, "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, CREATE ROUTINE ON "+cfg.DBName+".* TO "+maker)
	exec(t, db, "GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON "+cfg.DBName+".* TO "+user)
	as := func(name string) string {
		name, _, _ = strings.Cut(name, "@")
		return strings.Replace(url, "refrain@", name+"@", 1)
	}
	if err := Migrate(t.Context(), as(maker)); err != nil {
		t.Fatal(err)
	}
	exec(t, db, "DROP USER "+maker)
	s := openStore(t, as(user), Config{})
	defer s.Close()
	c := newClaim()
	claims(t, s, c, refrain.Run)
	settles(t, s, finish(&c, "paid"), nil)
	claims(t, s, again(c), refrain.Replay)
}

// TestMigrateUnderLoad takes a step of a schema and takes it back while a store is at work.
func TestMigrateUnderLoad(t *testing.T) {
	t.Parallel()
	url := database(t, server(t))
	cfg, err := parseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	first, err := fs.ReadFile(migrations, "migrations/00001_tables.sql")
	if err != nil {
		t.Fatal(err)
	}
	steps := fstest.MapFS{
		"00001_tables.sql": {Data: first},
		"00002_note.sql": {Data: []byte(strings.Join([]string{
			"-- +goose NO TRANSACTION", "-- +goose Up", "ALTER TABLE refrain_live ADD COLUMN note BIGINT NOT NULL DEFAULT 0;",
			"-- +goose Down", "ALTER TABLE refrain_live DROP COLUMN note;",
		}, "\n"))},
	}
	s := openStore(t, url, Config{})
	defer s.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, op := range storetest.Record(t, s, storetest.Workload{Calls: 4000}) {
			if op.Err != nil && !errors.Is(op.Err, refrain.ErrStale) {
				t.Errorf("%T: %v", op.Request, op.Err)
			}
		}
	}()
	for range 3 {
		for _, version := range []int64{2, 1} {
			if err := migrate(t.Context(), cfg, steps, version); err != nil {
				t.Fatalf("to version %d: %v", version, err)
			}
		}
	}
	<-done
}
