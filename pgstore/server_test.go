package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
	"github.com/refrain-dev/refrain/storetest"
)

// startPgBouncer starts a pool of three connections.
func startPgBouncer(t *testing.T) *servers.PgBouncer {
	t.Helper()
	return servertest.Start(t, func(ctx context.Context, dir string) (*servers.PgBouncer, error) {
		return servers.StartPgBouncer(ctx, dir, shared.Get(t), 3)
	})
}

// TestPgBouncer runs the suite through a pool that gives a connection away after each transaction, to a store of more connections
// than the pool has.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	pool := startPgBouncer(t)
	url := pool.URL("postgres")
	storetest.Run(t, func(t *testing.T) refrain.Store {
		schema := randomName()
		if err := Migrate(context.Background(), url, schema); err != nil {
			t.Fatalf("Migrate: %v", err)
		}
		return reopening{openStore(t, url, Config{Schema: schema}), url}
	})
}

func startPostgres(t *testing.T, settings ...string) *servers.Postgres {
	t.Helper()
	return servertest.Start(t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
		return servers.StartPostgres(ctx, dir, settings...)
	})
}

// startReplicated starts a server and a standby that every commit waits for.
func startReplicated(t *testing.T) (primary, standby *servers.Postgres) {
	t.Helper()
	primary = startPostgres(t, "synchronous_standby_names=mirror")
	standby = servertest.Start(t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
		return primary.StartStandby(ctx, dir, "mirror")
	})
	awaitSync(t, primary)
	return primary, standby
}

func awaitSync(t *testing.T, primary *servers.Postgres) {
	t.Helper()
	eventually(t, "the standby to be in sync", func() bool {
		return query[int](t, primary.URL("postgres"), "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == 1
	})
}

// waitingClaims are the claims whose commits wait for a standby. One that has just been woken for nothing is not among them for
// a moment.
const waitingClaims = ` FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%"claim"(%'`

// waiting returns how many there are.
func waiting(t *testing.T, primary *servers.Postgres) int {
	t.Helper()
	return query[int](t, primary.URL("postgres"), "SELECT count(*)"+waitingClaims)
}

// TestCommitWaitsForStandby takes the standby away. A claim that only the primary has is told to nobody, whoever leaves, whatever
// is cancelled; when the standby is back its owner finds it.
func TestCommitWaitsForStandby(t *testing.T) {
	t.Parallel()
	primary, standby := startReplicated(t)
	url := primary.URL("postgres")
	if err := Migrate(within(t), url, ""); err != nil {
		t.Fatal(err)
	}
	s, other := openStore(t, url, Config{}), openStore(t, url, Config{})
	if s.Tier() != refrain.TierStrict {
		t.Errorf("got tier %v, want %v", s.Tier(), refrain.TierStrict)
	}
	before := done(t, s, "paid")
	if err := standby.Kill(); err != nil {
		t.Fatal(err)
	}
	brief := func() context.Context {
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	c := newClaim()
	ctx, leave := context.WithCancel(context.Background())
	left := make(chan error)
	go func() {
		_, err := s.Claim(ctx, c)
		left <- err
	}()
	eventually(t, "the commit to wait", func() bool { return waiting(t, primary) == 1 })
	leave()
	if err := <-left; !isUnavailable(err) {
		t.Fatalf("a claim without the standby: got error %v", err)
	}
	if d, err := other.Claim(brief(), again(c)); !isUnavailable(err) {
		t.Fatalf("another's claim meanwhile: got verdict %v, error %v", d.Verdict, err)
	}
	if err := s.Close(); err != nil { // its connections break
		t.Fatal(err)
	}
	s = openStore(t, url, Config{})
	eventually(t, "the commit to wait also after its store has closed", func() bool { return waiting(t, primary) == 1 })
	if r, err := s.Get(within(t), c.ID); err != nil || r.State != refrain.StateAbsent {
		t.Errorf("got a record %v, error %v of a claim that no standby has", r.State, err)
	}
	replays(t, other, before, "paid") // what was there is there

	cancelWaiting(t, primary, s)

	claimed := make(chan error)
	go func() {
		_, err := s.Claim(within(t), c)
		claimed <- err
	}()
	eventually(t, "the repeated claim to wait", func() bool { return waiting(t, primary) > 0 })
	if err := standby.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := <-claimed; err != nil {
		t.Errorf("the repeated claim: %v", err)
	}
	awaitSync(t, primary)
	claims(t, s, c, refrain.Run)
	finishes(t, s, &c, "paid")
	replays(t, other, c, "paid")
}

// TestStandbysAsAPlainUser looks at standbys as a user who may see that they are there and no more.
func TestStandbysAsAPlainUser(t *testing.T) {
	t.Parallel()
	primary, _ := startReplicated(t)
	url := primary.URL("postgres")
	if err := Migrate(within(t), url, ""); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, asOther(t, url, "refrain"), Config{})
	remarks, err := s.Audit(within(t))
	if err != nil || s.Tier() != refrain.TierStrict || !slices.ContainsFunc(remarks, func(r refrain.Remark) bool {
		return r.Subject == "standbys" && strings.Contains(r.Text, "pg_monitor")
	}) {
		t.Errorf("got tier %v, error %v, and %+v, want what this user is not told", s.Tier(), err, remarks)
	}
}

// TestMuteServer is asked by a user to whom it would not say that the wait for a standby was cancelled.
func TestMuteServer(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	theirs := asOther(t, url, schema)
	for level, refused := range map[string]bool{"notice": false, "warning": false, "error": true} {
		run(t, url, fmt.Sprintf("ALTER ROLE %s_user SET client_min_messages = %s", schema, level))
		s := openStore(t, theirs, Config{Schema: schema})
		remarks, err := s.Audit(within(t))
		faulty := slices.ContainsFunc(remarks, func(r refrain.Remark) bool {
			return r.Grade == refrain.GradeFault && strings.Contains(r.Text, "client_min_messages = error")
		})
		if err != nil || faulty != refused {
			t.Errorf("%s: got %+v, error %v, want a fault: %v", level, remarks, err, refused)
		}
		if _, err := s.Claim(within(t), newClaim()); isUnavailable(err) != refused {
			t.Errorf("%s: got error %v of a claim, want one: %v", level, err, refused)
		}
	}
}

// cancelWaiting cancels a claim while it waits for the standby, again and again, for it may not wait yet. PostgreSQL commits it and
// reports success, with a warning.
func cancelWaiting(t *testing.T, primary *servers.Postgres, s *Store) {
	t.Helper()
	cancelled := func() int {
		return query[int](t, primary.URL("postgres"), "SELECT count(pg_cancel_backend(pid))"+waitingClaims)
	}
	eventually(t, "the claim before to be cancelled", func() bool { return cancelled() > 0 })
	c := newClaim()
	claimed := make(chan error)
	go func() {
		_, err := s.Claim(within(t), c)
		claimed <- err
	}()
	eventually(t, "a claim to be cancelled", func() bool {
		cancelled()
		select {
		case err := <-claimed:
			if !isUnavailable(err) || !errors.Is(err, errNotReplicated) {
				t.Errorf("a commit whose wait was cancelled: got error %v, want %v", err, errNotReplicated)
			}
			return true
		default:
			return false
		}
	})
}

// TestPromotion kills a server under load and promotes its standby: whatever was acknowledged is there, and the store goes on by
// itself.
func TestPromotion(t *testing.T) {
	t.Parallel()
	primary, standby := startReplicated(t)
	url := primary.URL("postgres")
	if err := Migrate(within(t), url, ""); err != nil {
		t.Fatal(err)
	}
	both := strings.Replace(url, fmt.Sprint(primary.Port), fmt.Sprintf("%d,127.0.0.1:%d", primary.Port, standby.Port), 1)
	s := openStore(t, both, Config{})
	var mu sync.Mutex
	var finished []refrain.Claim
	var all sync.WaitGroup
	stop := make(chan struct{})
	for range 16 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c := newClaim()
				if d, err := s.Claim(within(t), c); err != nil || d.Verdict != refrain.Run {
					continue
				}
				if _, err := s.Settle(within(t), finish(&c, "paid")); err != nil {
					continue
				}
				mu.Lock()
				finished = append(finished, c)
				mu.Unlock()
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(finished)
	}
	eventually(t, "some operations", func() bool { return count() > 500 })
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	before := count()
	if err := standby.Promote(within(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "operations on the new primary", func() bool { return count() > before+100 })
	close(stop)
	all.Wait()
	for _, c := range finished {
		replays(t, s, c, "paid")
	}
	if remarks, err := s.Audit(within(t)); err != nil || len(remarks) == 0 {
		t.Errorf("Audit: %v", err)
	}
}

// TestRestart kills the server: what was acknowledged is there when it is back, and the store goes on by itself.
func TestRestart(t *testing.T) {
	t.Parallel()
	server := startPostgres(t)
	if err := Migrate(within(t), server.URL("postgres"), ""); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, server.URL("postgres"), Config{})
	running, finished := newClaim(), done(t, s, "paid")
	first := claims(t, s, running, refrain.Run)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(within(t), newClaim()); !isUnavailable(err) {
		t.Errorf("without a server: got error %v", err)
	}
	if err := server.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the store to find the server", func() bool {
		_, err := s.Get(within(t), running.ID)
		return err == nil
	})
	replays(t, s, finished, "paid")
	claims(t, s, again(running), refrain.InFlight)
	if r := claims(t, s, running, refrain.Run).Record; r.Fence != first.Record.Fence {
		t.Errorf("got fence %d of the same claim, want %d", r.Fence, first.Record.Fence)
	}
	if next := done(t, s, "next"); claims(t, s, again(next), refrain.Replay).Record.Fence <= first.Record.Fence {
		t.Error("fences do not grow across a restart")
	}
}

// TestPausedServer lets callers go while the server's processes do not answer, and goes on when it does.
func TestPausedServer(t *testing.T) {
	t.Parallel()
	server := startPostgres(t)
	if err := Migrate(within(t), server.URL("postgres"), ""); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, server.URL("postgres"), Config{})
	done(t, s, "before")
	eventually(t, "its buckets", func() bool { // then it opens no more connections by itself, and has one to spare
		return query[int](t, server.URL("postgres"), "SELECT count(*) FROM refrain.bucket") >= 2 && s.pool.Stat().AcquiredConns() == 0
	})
	backends := query[[]int](t, server.URL("postgres"),
		"SELECT array_agg(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
	signal(t, backends, stopSignal)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	c := newClaim()
	if _, err := s.Claim(ctx, c); !isUnavailable(err) {
		t.Errorf("with a server that does not answer: got error %v", err)
	}
	signal(t, backends, contSignal)
	claims(t, s, c, refrain.Run)
}

func TestStandbyIsNoStore(t *testing.T) {
	t.Parallel()
	primary := startPostgres(t)
	if err := Migrate(within(t), primary.URL("postgres"), ""); err != nil {
		t.Fatal(err)
	}
	standby := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
		return primary.StartStandby(ctx, dir, "second")
	})
	if s, err := Open(within(t), standby.URL("postgres"), Config{}); !isUnavailable(err) {
		t.Errorf("got a store %v, error %v, want that it is unavailable", s != nil, err)
	}
	s := openStore(t, asOther(t, primary.URL("postgres"), "refrain"), Config{}) // a plain user sees it too
	eventually(t, "the standby to stream", func() bool {
		_, err := s.Audit(within(t))
		return err == nil && s.Tier() == refrain.TierBestEffort // nobody waits for it
	})
}
