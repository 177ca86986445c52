package pgstore

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/refrain-dev/refrain"
)

// lag makes the next calls, so many, come to server processes that do not know of every bucket.
func lag(t *testing.T, url, schema string, calls int) {
	t.Helper()
	run(t, url, fmt.Sprintf(`CREATE SEQUENCE IF NOT EXISTS %[1]s.looks;
		ALTER SEQUENCE %[1]s.looks RESTART;
		GRANT ALL ON SEQUENCE %[1]s.looks TO PUBLIC;
		CREATE OR REPLACE VIEW %[1]s.all_of_done AS
			SELECT CASE WHEN nextval('%[1]s.looks') > %[2]d THEN true ELSE %[1]s.behind() END AS seen`, schema, calls))
}

// asNobody returns the URL for a user who becomes another role, as which he may use the schema's tables but not end what is his.
func asNobody(t *testing.T, url, schema string) string {
	t.Helper()
	theirs := asOther(t, url, schema)
	run(t, url, fmt.Sprintf(`CREATE ROLE "%[1]s_nobody"; GRANT "%[1]s_nobody" TO "%[1]s_user";
		ALTER ROLE "%[1]s_user" SET role = '%[1]s_nobody'; GRANT USAGE ON SCHEMA %[1]s TO "%[1]s_nobody";
		GRANT ALL ON ALL TABLES IN SCHEMA %[1]s TO "%[1]s_nobody"; GRANT ALL ON ALL SEQUENCES IN SCHEMA %[1]s TO "%[1]s_nobody"`, schema))
	return theirs
}

// TestRetry has calls come to server processes that lag behind, several times in a row: each goes on in another, and is made once.
func TestRetry(t *testing.T) {
	t.Parallel()
	for name, as := range map[string]func(t *testing.T, url, schema string) string{
		"as the owner":      func(_ *testing.T, url, _ string) string { return url },
		"as another role":   asNobody,
		"through PgBouncer": func(t *testing.T, _, _ string) string { return startPgBouncer(t).URL("postgres") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, schema := newSchema(t)
			s := openStore(t, as(t, url, schema), Config{Schema: schema})
			lag(t, url, schema, 5)
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					if d, err := s.Claim(context.Background(), newClaim()); err != nil || d.Verdict != refrain.Run {
						t.Errorf("Claim: got verdict %v, error %v, want it to run", d.Verdict, err)
					}
				})
			}
			all.Wait()
			c := done(t, s, "paid")
			lag(t, url, schema, 5)
			replays(t, s, c, "paid")
			lag(t, url, schema, 5)
			finishes(t, s, &c, "paid") // it recognises itself
			lag(t, url, schema, 5)
			if r, err := s.Get(within(t), c.ID); err != nil || r.State != refrain.StateDone {
				t.Errorf("Get: got a record %v, error %v, want it done", r.State, err)
			}
			lag(t, url, schema, 5)
			if page, err := s.List(within(t), refrain.ListQuery{}); err != nil || len(page) != 21 {
				t.Errorf("List: got %d operations, error %v, want 21", len(page), err)
			}
		})
	}
}
