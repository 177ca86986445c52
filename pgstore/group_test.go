package pgstore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/refrain-dev/refrain"
)

// asOther returns the URL for a user who may use the schema's tables and owns nothing.
func asOther(tb testing.TB, url, schema string) string {
	tb.Helper()
	run(tb, url, fmt.Sprintf(`CREATE ROLE "%[1]s_user" LOGIN; GRANT USAGE ON SCHEMA %[1]s TO "%[1]s_user";
		GRANT ALL ON ALL TABLES IN SCHEMA %[1]s TO "%[1]s_user"; GRANT ALL ON ALL SEQUENCES IN SCHEMA %[1]s TO "%[1]s_user"`, schema))
	return strings.Replace(url, "postgres@", schema+"_user@", 1)
}

// TestWarningBefore has the server warn a connection of something else than a commit: here that this user may not vacuum, as it
// warns whoever connects to a database whose collations are of another version. The next commits are taken for what they are.
func TestWarningBefore(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	s := openStore(t, asOther(t, url, schema), Config{Schema: schema})
	s.buckets.churn = churnMost + 1
	if err := s.buckets.vacuum(within(t)); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		done(t, s, "paid")
	}
}

// TestOneBadRequest has the server refuse one operation, whatever others share its transaction. They go on, and it is told.
func TestOneBadRequest(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	s := openStore(t, url, Config{Schema: schema, Writers: 1})
	bad := newClaim()
	run(t, url, fmt.Sprintf(`ALTER TABLE %s.live ADD CHECK (id <> '\x%x')`, schema, bad.ID[:]))
	ctx := within(t)
	refused, stop := make(chan error), make(chan struct{})
	var others sync.WaitGroup
	for range 20 {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if d, err := s.Claim(context.Background(), newClaim()); err != nil || d.Verdict != refrain.Run {
					t.Errorf("another claim: got verdict %v, error %v", d.Verdict, err)
				}
			}
		})
	}
	for range 5 {
		go func() {
			_, err := s.Claim(ctx, again(bad))
			refused <- err
		}()
	}
	for range 5 {
		if err := <-refused; !isUnavailable(err) || ctx.Err() != nil {
			t.Errorf("the bad claim: got error %v, want that the server refuses it at once", err)
		}
	}
	close(stop)
	others.Wait()
}
