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

// TestMigrateGoesOn begins where another died: its table of versions is there and has no row.
func TestMigrateGoesOn(t *testing.T) {
	t.Parallel()
	url := empty(t, server(t))
	exec(t, openPlain(t, url), `CREATE TABLE refrain_schema (id SERIAL PRIMARY KEY, version_id BIGINT NOT NULL,
		is_applied BOOLEAN NOT NULL, tstamp TIMESTAMP NULL DEFAULT NOW())`)
	if err := Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), url, Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
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
