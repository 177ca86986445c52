package pgstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

func TestWidthFor(t *testing.T) {
	t.Parallel()
	for lifetime, want := range map[time.Duration]int16{
		-time.Hour: 4, 0: 4, 31 * time.Second: 4, 32 * time.Second: 5, time.Hour: 11, 24 * time.Hour: 16,
		8 * 24 * time.Hour: 19, 100 * 365 * 24 * time.Hour: 31,
	} {
		got := widthFor(lifetime)
		if got != want {
			t.Errorf("got width %d for %v, want %d", got, lifetime, want)
		}
		if width := time.Second << got; lifetime >= 32*time.Second && (width > lifetime || 2*width <= lifetime) {
			t.Errorf("got width %v for %v, want less than it and more than half", width, lifetime)
		}
	}
}

// TestLifetimesOfOneWidth uses the longest and the shortest lifetime of a width: there are buckets for both.
func TestLifetimesOfOneWidth(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for range 3 {
		for _, lifetime := range []time.Duration{2*time.Second<<19 - time.Hour, time.Second << 19} {
			c := newClaim()
			claims(t, s, c, refrain.Run)
			e := finish(&c, "paid")
			e.Retention, e.Tombstone = lifetime, 0
			if _, err := s.Settle(within(t), e); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.buckets.tend(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if n := query[int](t, s.pool.Config().ConnString(), "SELECT count(*) FROM "+s.in("done_0")); n > 2 {
		t.Errorf("%d rows are in bucket 0, want the first of each lifetime at most", n)
	}
}

// A clockwork is a store whose database tells the time that the test wants.
type clockwork struct {
	*Store
	t    *testing.T
	url  string
	late time.Duration
}

func newClockwork(t *testing.T) *clockwork {
	t.Helper()
	url, schema := newSchema(t)
	run(t, url, fmt.Sprintf(`CREATE TABLE %[1]s.late (by interval NOT NULL); INSERT INTO %[1]s.late VALUES ('0');
		CREATE OR REPLACE FUNCTION %[1]s.clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS
			'SELECT clock_timestamp() + by FROM %[1]s.late'`, schema))
	return &clockwork{openStore(t, url, Config{Schema: schema}), t, url, 0}
}

// pass lets time pass, and does what the store does every few seconds.
func (c *clockwork) pass(d time.Duration) {
	c.t.Helper()
	c.late += d
	run(c.t, c.url, fmt.Sprintf("UPDATE %s.late SET by = '%d seconds'", c.cfg.Schema, int(c.late.Seconds())))
	if err := c.buckets.tend(within(c.t)); err != nil {
		c.t.Fatalf("tend: %v", err)
	}
}

// size returns how many bytes the store's tables take.
func (c *clockwork) size() int64 {
	return query[int64](c.t, c.url, `SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
		WHERE relnamespace = $1::regnamespace AND relkind = 'r' AND relname ~ '^(live|done|outcome)'`, c.cfg.Schema)
}

// alive returns how many bytes the rows have that are not over.
func (c *clockwork) alive() int64 {
	return query[int64](c.t, c.url, fmt.Sprintf(`SELECT (SELECT sum(pg_column_size(d)) FROM %[1]s.done d WHERE forget > %[1]s.clock())::bigint
		+ (SELECT sum(pg_column_size(meta) + pg_column_size(body) + 48) FROM %[1]s.outcome WHERE expires > %[1]s.clock())::bigint`,
		c.cfg.Schema))
}

const (
	churnRetention = 8 * time.Minute
	churnTombstone = 8 * time.Minute
)

// A churn is how many operations a minute has, and how large their bodies are.
type churn struct{ minute, body int }

// make makes a minute's operations.
func (h churn) make(c *clockwork) {
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range h.minute / 20 {
				k := newClaim()
				e := finish(&k, "")
				e.Outcome.Body = make([]byte, h.body)
				_, _ = rand.Read(e.Outcome.Body) // it cannot be compressed
				e.Retention, e.Tombstone = churnRetention, churnTombstone
				if _, err := c.Claim(context.Background(), k); err != nil {
					c.t.Errorf("Claim: %v", err)
				}
				if _, err := c.Settle(context.Background(), e); err != nil {
					c.t.Errorf("Settle: %v", err)
				}
			}
		})
	}
	all.Wait()
}

// TestSizeUnderChurn makes an hour's operations, with the hour compressed: at the end the tables, with their indexes, are at most
// three times as large as the rows in them that are not over.
func TestSizeUnderChurn(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]churn{"small bodies": {400, 400}, "large bodies": {40, 15_000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClockwork(t)
			for range 60 {
				h.make(c)
				c.pass(time.Minute)
			}
			got, alive := c.size(), c.alive()
			t.Logf("%d bytes after %d operations, %d of them alive: %.2f times", got, 60*h.minute, alive, float64(got)/float64(alive))
			if got > 3*alive {
				t.Errorf("got %d bytes, want at most three times the %d of what is alive", got, alive)
			}
			rows := query[int](t, c.url, "SELECT count(*) FROM "+c.in("done_0")) +
				query[int](t, c.url, "SELECT count(*) FROM "+c.in("outcome_0"))
			if rows > h.minute {
				t.Errorf("bucket 0 has %d rows: only those that came before the buckets may be there", rows)
			}
		})
	}
}

// TestNothingIsDroppedTooSoon looks at operations of many lifetimes while time passes: each is there as long as it must be.
func TestNothingIsDroppedTooSoon(t *testing.T) {
	t.Parallel()
	c := newClockwork(t)
	type life struct {
		refrain.Claim
		retain, forget time.Duration
	}
	var lives []life
	for i := range 12 {
		l := life{Claim: newClaim(), retain: time.Minute << i}
		l.forget = 3 * l.retain
		claims(t, c.Store, l.Claim, refrain.Run)
		e := finish(&l.Claim, "paid")
		e.Retention, e.Tombstone = l.retain, l.forget-l.retain
		if _, err := c.Settle(within(t), e); err != nil {
			t.Fatal(err)
		}
		lives = append(lives, l)
		if i%2 == 0 { // half of the buckets are there in time
			c.pass(0)
		}
	}
	const slack = 30 * time.Second // the clock goes on by itself, too
	for range 15 {
		for _, l := range lives {
			want := refrain.StateAbsent
			switch {
			case c.late < l.retain-slack:
				want = refrain.StateDone
			case c.late < l.retain+slack:
				continue
			case c.late < l.forget-slack:
				want = refrain.StateExpired
			case c.late < l.forget+slack:
				continue
			}
			if r, err := c.Get(within(t), l.ID); err != nil || r.State != want {
				t.Errorf("%v into a life of %v and %v: got a record %v, error %v, want it %v", c.late, l.retain, l.forget, r.State, err, want)
			}
		}
		c.pass(max(c.late, 20*time.Second))
	}
	left := query[int](t, c.url, "SELECT count(*) FROM "+c.in("bucket"))
	if left > 4 { // those of the longest life, and those made ahead
		t.Errorf("%d buckets are left after everything is forgotten", left)
	}
}
