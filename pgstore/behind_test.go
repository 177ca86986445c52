package pgstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/refrain-dev/refrain"
)

// A laggard is a server process that does not learn of new buckets: it is in a transaction that has all locks it needs, and would
// be told when it takes one.
type laggard struct {
	*Store
	t    *testing.T
	conn *pgx.Conn
}

func newLaggard(t *testing.T, s *Store) *laggard {
	t.Helper()
	conn, err := pgx.Connect(within(t), s.pool.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(within(t)) })
	if _, err := conn.Exec(within(t), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	return &laggard{s, t, conn}
}

// call makes a call that returns one sighting at most.
func (l *laggard) call(text string, p params) (seen sighting, err error) {
	rows := l.conn.PgConn().ExecParams(within(l.t), text, p.values, p.oids, p.formats(), binaryFormat)
	for rows.NextRow() {
		seen.decode(rows.Values()[0])
	}
	_, err = rows.Close()
	return seen, err
}

func (l *laggard) claim(c refrain.Claim) (sighting, error) {
	r := newRequest(c.ID)
	c = again(c)
	r.claim = &c
	return l.call(l.calls.claim, l.claims([]*request{r}))
}

func (l *laggard) settle(c refrain.Claim) (sighting, error) {
	r, e := newRequest(c.ID), finish(&c, "paid")
	r.settlement = &e
	return l.call(l.calls.settle, l.settlements([]*request{r}))
}

func (l *laggard) find(c refrain.Claim) (sighting, error) {
	return l.call(l.calls.find, l.finds(&c.ID))
}

// settled does an operation with these lifetimes, twice: the second finds its buckets.
func settled(t *testing.T, s *Store, retention, tombstone time.Duration) (c refrain.Claim) {
	t.Helper()
	for range 2 {
		c = newClaim()
		claims(t, s, c, refrain.Run)
		e := finish(&c, "paid")
		e.Retention, e.Tombstone = retention, tombstone
		if _, err := s.Settle(within(t), e); err != nil {
			t.Fatal(err)
		}
		if err := s.buckets.tend(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// TestBehind asks a server process that does not know of the newest bucket about what is done in it.
func TestBehind(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(*laggard, refrain.Claim) (sighting, error){
		"claim": (*laggard).claim, "settle": (*laggard).settle, "find": (*laggard).find,
	} {
		for unknown, lifetimes := range map[string][2]time.Duration{
			"done":    {time.Hour, 7 * time.Hour},
			"outcome": {time.Minute, 2*time.Hour - time.Minute}, // in the same bucket of done as an hour and an hour
		} {
			t.Run(name+" without a bucket of "+unknown, func(t *testing.T) {
				t.Parallel()
				s := newStore(t)
				l, known := newLaggard(t, s), settled(t, s, time.Hour, time.Hour)
				if _, err := call(l, known); err != nil {
					t.Fatalf("what it knows of: %v", err)
				}
				pid := l.conn.PgConn().PID()
				c := settled(t, s, lifetimes[0], lifetimes[1])
				seen, err := call(l, c)
				if r := seen.record(); err == nil && r.State == refrain.StateDone && r.Outcome != nil {
					return // it has learned of the bucket after all, as now and then one does
				}
				if codeOf(err) != codeBehind {
					t.Fatalf("got %+v, error %v, want the process to see that it lags behind", seen.record(), err)
				}
				eventually(t, "the end of the process", func() bool {
					return query[int](t, s.pool.Config().ConnString(), "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid) == 0
				})
			})
		}
	}
}

// TestMuteConnection has a server process warn of nothing, as somebody else may have told it through a pooler.
func TestMuteConnection(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(*laggard, refrain.Claim) (sighting, error){
		"claim": (*laggard).claim, "settle": (*laggard).settle,
	} {
		s := newStore(t)
		l, c := newLaggard(t, s), newClaim()
		claims(t, s, c, refrain.Run)
		if _, err := l.conn.Exec(within(t), "SET client_min_messages = error"); err != nil {
			t.Fatal(err)
		}
		if _, err := call(l, c); codeOf(err) != "RF005" {
			t.Errorf("%s: got error %v, want the call refused", name, err)
		}
	}
}

// TestCommitOfAConnectionThatWaitsForNothing has a session's synchronous_commit off, as somebody else may have left it behind a pooler:
// the store's commits are as durable as ever.
func TestCommitOfAConnectionThatWaitsForNothing(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(*laggard, refrain.Claim) (sighting, error){
		"claim": (*laggard).claim, "settle": (*laggard).settle,
	} {
		s := newStore(t)
		l, c := newLaggard(t, s), newClaim()
		if name == "settle" {
			claims(t, s, c, refrain.Run)
		}
		for _, theirs := range []string{"off", "local", "remote_write"} {
			if _, err := l.conn.Exec(within(t), "ROLLBACK; SET synchronous_commit = "+theirs+"; BEGIN"); err != nil {
				t.Fatal(err)
			}
			seen, err := call(l, c)
			if err != nil || !seen.written {
				t.Fatalf("%s: got %+v, error %v", name, seen, err)
			}
			var got string
			if err := l.conn.QueryRow(within(t), "SHOW synchronous_commit").Scan(&got); err != nil || got != "on" {
				t.Errorf("%s with %s: the commit waits for %q, error %v, want as much as by default", name, theirs, got, err)
			}
		}
	}
}

// TestBucketUnknown settles in a server process that finds no bucket for the outcome, though it is on the list.
func TestBucketUnknown(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	url := s.pool.Config().ConnString()
	run(t, url, fmt.Sprintf(`INSERT INTO %[1]s.bucket (of, bucket, ends)
		SELECT 'outcome', number, 'infinity' FROM generate_series(%[1]s.bucket_at(11, %[1]s.us(%[1]s.clock())),
			%[1]s.bucket_at(11, %[1]s.us(%[1]s.clock()) + 7200000000)) AS number`, s.cfg.Schema))
	replays(t, s, done(t, s, "paid"), "paid")
	if n := query[int](t, url, "SELECT count(*) FROM "+s.in("outcome_0")); n != 1 {
		t.Errorf("%d outcomes are in bucket 0, want the one that found no other", n)
	}
}

// TestBucketLost calls a store that has lost a bucket: whatever may be in it is not absent.
func TestBucketLost(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	c := done(t, s, "paid")
	run(t, s.pool.Config().ConnString(), fmt.Sprintf("INSERT INTO %s.bucket VALUES ('done', 1, 'infinity')", s.cfg.Schema))
	if d, err := s.Claim(within(t), newClaim()); !isUnavailable(err) {
		t.Errorf("Claim: got %v, error %v, want it unavailable", d.Verdict, err)
	}
	if r, err := s.Get(within(t), c.ID); !isUnavailable(err) {
		t.Errorf("Get: got a record %v, error %v, want it unavailable", r.State, err)
	}
	if page, err := s.List(within(t), refrain.ListQuery{}); !isUnavailable(err) {
		t.Errorf("List: got %d records, error %v, want it unavailable", len(page), err)
	}
	run(t, s.pool.Config().ConnString(), fmt.Sprintf(`DELETE FROM %[1]s.bucket b
		WHERE of = 'done' AND NOT EXISTS (SELECT FROM %[1]s.done d WHERE d.id = '' AND d.bucket = b.bucket)`, s.cfg.Schema))
	replays(t, s, c, "paid")
}

// TestAuditNamesWhatIsLost takes one thing after the other from buckets. The audit says which bucket lacks what, and what it says that
// an operator may do helps.
func TestAuditNamesWhatIsLost(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	url, c := s.pool.Config().ConnString(), settled(t, s, time.Hour, time.Hour)
	table := func(of string) string {
		return query[string](t, url, fmt.Sprintf(`SELECT format('%%s_%%s_%%s', of, bucket >> 40, bucket & ((1::bigint << 40) - 1))
			FROM %s.bucket WHERE of = $1 ORDER BY bucket DESC LIMIT 1`, s.cfg.Schema), of)
	}
	for _, loses := range []struct{ of, what, sql string }{
		{"outcome", table("outcome"), "DELETE FROM %s.%s WHERE fence = 0"},
		{"done", "line of bucket", "DELETE FROM %[1]s.bucket WHERE of = 'done'"},
		{"done", table("done"), "DROP TABLE %s.%s"},
	} {
		if lost := faults(t, s); len(lost) != 0 {
			t.Fatalf("before anything is lost: %q", lost)
		}
		run(t, url, fmt.Sprintf(loses.sql, s.cfg.Schema, table(loses.of)))
		lost := faults(t, s)
		if len(lost) == 0 || !strings.Contains(strings.Join(lost, "\n"), loses.what) {
			t.Fatalf("%s: got %q, want it named", loses.what, lost)
		}
		if _, err := s.Get(within(t), c.ID); loses.of == "done" && !isUnavailable(err) {
			t.Errorf("%s: got error %v, want what the audit says", loses.what, err)
		}
		for _, text := range lost {
			run(t, url, text[strings.LastIndex(text, ": ")+2:])
		}
		done(t, s, "next")
	}
}

// faults returns what the audit finds to be wrong.
func faults(t *testing.T, s *Store) (all []string) {
	t.Helper()
	remarks, err := s.Audit(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range remarks {
		if r.Grade == refrain.GradeFault && r.Subject == "buckets" {
			all = append(all, r.Text)
		}
	}
	return all
}

// TestNewBuckets has several processes use many new buckets while they are made. A server process may not know of one of them at
// once: what is done in it must nevertheless not run again, nor be kept from anybody.
func TestNewBuckets(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	stores := make([]*Store, 4)
	for i := range stores {
		stores[i] = openStore(t, url, Config{Schema: schema})
	}
	var all sync.WaitGroup
	for i := range 4 * len(stores) {
		all.Go(func() {
			for n := range 27 {
				lifetime := 16 * time.Second << n
				lifetime += lifetime / 16 * time.Duration(rand.IntN(16))
				if !isKnown(t, stores[i%4], stores[(i+n)%4], lifetime) {
					return
				}
			}
		})
	}
	all.Wait()
}

// isKnown does an operation in one store, to be remembered for so long, and reports whether the other one knows of it.
func isKnown(t *testing.T, s, other *Store, lifetime time.Duration) bool {
	ctx, c := context.Background(), newClaim()
	e := finish(&c, "paid")
	e.Retention, e.Tombstone = lifetime, 0
	if d, err := s.Claim(ctx, c); err != nil || d.Verdict != refrain.Run {
		t.Errorf("Claim: got verdict %v, error %v, want it to run", d.Verdict, err)
		return false
	}
	if _, err := s.Settle(ctx, e); err != nil {
		t.Errorf("Settle: %v", err)
		return false
	}
	d, err := other.Claim(ctx, again(c))
	if err != nil || d.Verdict != refrain.Replay {
		t.Errorf("another process claims what is done: got verdict %v, error %v, want a replay", d.Verdict, err)
		return false
	}
	r, err := other.Get(ctx, c.ID)
	if err != nil || r.State != refrain.StateDone || r.Outcome == nil {
		t.Errorf("Get: got a record %v, error %v, want what is done", r.State, err)
		return false
	}
	return true
}
