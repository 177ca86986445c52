package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/refrain-dev/refrain"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	url, schema := shared.Get(t).URL("postgres"), randomName()
	if _, err := Open(within(t), url, Config{Schema: schema}); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "migrate") {
		t.Errorf("without tables: got error %v, want %v and what to do", err, ErrSchema)
	}
	tables := "SELECT count(*) FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p', 'S', 'v')"
	for range 2 {
		for _, version := range []int{1, 2, 3, 4, 3, 2, 1, 0} {
			if err := MigrateTo(within(t), url, schema, version); err != nil {
				t.Fatalf("to version %d: %v", version, err)
			}
		}
		if n := query[int](t, url, tables, schema); n != 2 { // goose's own table and its sequence
			t.Errorf("version 0 has %d tables, want none but that of the versions", n-1)
		}
	}
	done(t, openStore(t, migrated(t, url, schema), Config{Schema: schema}), "paid")
}

// migrated has several processes migrate at the same time: one of them does.
func migrated(t *testing.T, url, schema string) string {
	t.Helper()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := Migrate(within(t), url, schema); err != nil {
				t.Errorf("at the same time: %v", err)
			}
		})
	}
	all.Wait()
	return url
}

// TestMigrateAnew has several processes make one schema, once as a user who may make none and was given an empty one.
func TestMigrateAnew(t *testing.T) {
	t.Parallel()
	url := shared.Get(t).URL("postgres")
	for range 3 {
		migrated(t, url, randomName())
	}
	given := randomName()
	run(t, url, fmt.Sprintf("CREATE ROLE %[1]s_user LOGIN; CREATE SCHEMA %[1]s AUTHORIZATION %[1]s_user", given))
	theirs := strings.Replace(url, "postgres@", given+"_user@", 1)
	s := openStore(t, migrated(t, theirs, given), Config{Schema: given})
	done(t, s, "paid")
	if err := s.buckets.tend(within(t)); err != nil {
		t.Errorf("the schema's owner makes no buckets: %v", err)
	}
}

// TestSchemaNames refuses names that would be another schema's without quotes.
func TestSchemaNames(t *testing.T) {
	t.Parallel()
	url := shared.Get(t).URL("postgres")
	for _, name := range []string{"Refrain", "with-dash", "a.b", `a"b`, "9", strings.Repeat("a", 64)} {
		if err := Migrate(within(t), url, name); err == nil {
			t.Errorf("the schema %q was made", name)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	run(t, url, fmt.Sprintf("INSERT INTO %s.%s (version_id, is_applied) VALUES (%d, true)", schema, versionTable, Version+1))
	if _, err := Open(within(t), url, Config{Schema: schema}); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "newer") {
		t.Errorf("Open: got error %v, want %v", err, ErrSchema)
	}
	if err := Migrate(within(t), url, schema); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "newer") {
		t.Errorf("Migrate: got error %v, want %v", err, ErrSchema)
	}
}

// TestMigrationUnderLoad takes the functions away and brings them back, again and again, under load: calls are refused or go
// through, and nothing that was acknowledged is lost or run twice.
func TestMigrationUnderLoad(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	s := openStore(t, url, Config{Schema: schema})
	var through, refused atomic.Int64
	stop := make(chan struct{})
	finished := make([][]refrain.Claim, 8)
	var all sync.WaitGroup
	for i := range finished {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c := newClaim()
				if err := execute(s, &c); err != nil {
					if !isUnavailable(err) {
						t.Errorf("got error %v, want an ErrUnavailable", err)
					}
					refused.Add(1)
					continue
				}
				finished[i] = append(finished[i], c)
				through.Add(1)
			}
		})
	}
	for range 5 {
		for _, version := range []int{3, 1, 2, Version} {
			before := refused.Load()
			if err := MigrateTo(within(t), url, schema, version); err != nil {
				t.Errorf("to version %d: %v", version, err)
			}
			if version == 1 {
				eventually(t, "calls to be refused", func() bool { return refused.Load() > before })
			}
		}
		before := through.Load()
		eventually(t, "calls to go through", func() bool { return through.Load() > before+100 })
	}
	close(stop)
	all.Wait()
	for _, some := range finished {
		for _, c := range some {
			replays(t, s, c, "paid")
		}
	}
	t.Logf("%d operations went through, %d calls were refused", through.Load(), refused.Load())
}

// execute claims and finishes a new operation. One whose claim got no answer may have been claimed: then it finds itself.
func execute(s *Store, c *refrain.Claim) error {
	ctx := context.Background()
	d, err := s.Claim(ctx, *c)
	if err != nil {
		return err
	}
	if d.Verdict != refrain.Run {
		return fmt.Errorf("a new operation got the verdict %v", d.Verdict)
	}
	_, err = s.Settle(ctx, finish(c, "paid"))
	return err
}

// TestAnotherStoreInItsPlace makes the schema anew while a store uses it: its operations are gone, and it says so rather than run
// them again.
func TestAnotherStoreInItsPlace(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	s := openStore(t, url, Config{Schema: schema})
	c := done(t, s, "paid")
	secret, err := s.Secret(within(t))
	if err != nil || len(secret) != 32 {
		t.Fatalf("got %d bytes of secret, error %v", len(secret), err)
	}
	if err := errors.Join(MigrateTo(within(t), url, schema, 0), Migrate(within(t), url, schema)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if d, err := s.Claim(within(t), again(c)); !isUnavailable(err) {
			t.Fatalf("got verdict %v, error %v, want that the store is unavailable", d.Verdict, err)
		}
	}
	if s.Err() == nil {
		t.Error("the store says that it can go on")
	}
	next := openStore(t, url, Config{Schema: schema})
	if other, err := next.Secret(within(t)); err != nil || string(other) == string(secret) {
		t.Errorf("got the same secret of another store, or error %v", err)
	}
	claims(t, next, c, refrain.Run)
}

// TestAnswersWithoutSense has the database say nothing of an operation, as no version of the schema does. It is not absent for that.
func TestAnswersWithoutSense(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	s := openStore(t, url, Config{Schema: schema})
	c := done(t, s, "paid")
	run(t, url, fmt.Sprintf(`CREATE OR REPLACE FUNCTION %[1]s.find(store uuid, id bytea) RETURNS SETOF %[1]s.sighting LANGUAGE sql
		AS 'SELECT NULL::%[1]s.sighting WHERE false'`, schema))
	if r, err := s.Get(within(t), c.ID); !isUnavailable(err) || !errors.Is(err, errNonsense) {
		t.Errorf("got a record %v, error %v, want %v", r.State, err, errNonsense)
	}
}

// TestOtherUser uses the store as a user who owns nothing: there are no new buckets then, and all else goes on.
func TestOtherUser(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	s := openStore(t, asOther(t, url, schema), Config{Schema: schema})
	kept, over := done(t, s, "paid"), newClaim()
	claims(t, s, over, refrain.Run)
	e := finish(&over, "old")
	e.Retention, e.Tombstone = 1, 0
	if _, err := s.Settle(within(t), e); err != nil {
		t.Fatal(err)
	}
	if err := s.buckets.tend(within(t)); err == nil {
		t.Error("buckets were made by somebody who may not")
	}
	replays(t, s, kept, "paid")
	if _, err := s.Audit(within(t)); err != nil {
		t.Errorf("Audit: %v", err)
	}
	if page, err := s.List(within(t), refrain.ListQuery{}); err != nil || len(page) != 1 {
		t.Errorf("got %d operations, error %v, want the one that is kept", len(page), err)
	}
}
