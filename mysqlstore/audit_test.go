package mysqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

func TestTierFollowsFromTheSettings(t *testing.T) {
	t.Parallel()
	semi := semiSync{enabled: "ON", status: "ON", clients: 1, point: "AFTER_SYNC", timeout: patience}
	for name, c := range map[string]struct {
		change func(s *settings)
		want   refrain.Tier
		faults int
	}{
		"as it should be":          {func(*settings) {}, refrain.TierStrict, 0},
		"flushed once a second":    {func(s *settings) { s.flush = "0" }, refrain.TierBestEffort, 0},
		"written, not flushed":     {func(s *settings) { s.flush = "2" }, refrain.TierProcess, 0},
		"pages can tear":           {func(s *settings) { s.doublewrite = "OFF" }, refrain.TierProcess, 0},
		"a log that is not on it":  {func(s *settings) { s.logBin, s.syncBinlog = "ON", "0" }, refrain.TierProcess, 0},
		"a synced log":             {func(s *settings) { s.logBin = "ON" }, refrain.TierStrict, 0},
		"a replica behind":         {func(s *settings) { s.logBin, s.replicas = "ON", 1 }, refrain.TierBestEffort, 0},
		"nobody tells of replicas": {func(s *settings) { s.logBin, s.blind = "ON", true }, refrain.TierBestEffort, 0},
		"and there can be none":    {func(s *settings) { s.blind = true }, refrain.TierStrict, 0},
		"a replica that confirms":  {func(s *settings) { s.logBin, s.replicas, s.semi = "ON", 1, semi }, refrain.TierStrict, 0},
		"waits a while for it": {func(s *settings) {
			s.logBin, s.replicas, s.semi = "ON", 1, semi
			s.semi.timeout = 10 * time.Second
		}, refrain.TierBestEffort, 0},
		"shows before it confirms": {func(s *settings) {
			s.logBin, s.replicas, s.semi = "ON", 1, semi
			s.semi.point = "AFTER_COMMIT"
		}, refrain.TierBestEffort, 0},
		"Galera":    {func(s *settings) { s.wsrep = "ON" }, refrain.TierBestEffort, 1},
		"a replica": {func(s *settings) { s.readOnly = "ON" }, refrain.TierStrict, 1},
	} {
		s := &settings{flush: "1", doublewrite: "ON", logBin: "OFF", syncBinlog: "1", readOnly: "OFF", packet: 16 << 20}
		c.change(s)
		faults := 0
		for _, r := range s.remarks(&Config{}) {
			if r.Grade == refrain.GradeFault {
				faults++
			}
		}
		if got := s.tier(); got != c.want || faults != c.faults {
			t.Errorf("%s: got tier %v and %d faults, want %v and %d", name, got, faults, c.want, c.faults)
		}
	}
	galera := &settings{wsrep: "ON"}
	if galera.refuse(&Config{}) == nil || galera.refuse(&Config{AllowGalera: true}) != nil {
		t.Error("Galera is refused unless it is allowed")
	}
}

// TestSemiSync has a replica confirm every commit. Without it, claims wait, and the store says that its promise is less; with the
// primary lost, the replica has all that was acknowledged.
func TestSemiSync(t *testing.T) {
	t.Parallel()
	primary := startServer(t, servers.SemiSyncPrimary()...)
	replica := servertest.Start(t, func(ctx context.Context, dir string) (*servers.MariaDB, error) {
		return servers.StartMariaDBReplica(ctx, dir, primary)
	})
	url := database(t, primary) // not before there is a replica: nobody would confirm it
	s := openStore(t, url, Config{})
	defer s.Close()
	wantTier(t, s, refrain.TierStrict)
	c := newClaim()
	claims(t, s, c, refrain.Run)
	settles(t, s, finish(&c, "paid"), nil)

	if err := replica.Pause(); err != nil {
		t.Fatal(err)
	}
	stopped(t, replica.PID())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	unconfirmed := newClaim()
	if _, err := s.Claim(ctx, unconfirmed); !errors.Is(err, refrain.ErrUnavailable) {
		t.Log(primary.Log())
		t.Errorf("a claim that no replica confirms: got error %v, want %v", err, refrain.ErrUnavailable)
	}
	if r, err := s.Get(within(t), unconfirmed.ID); err != nil || r.State != refrain.StateAbsent {
		t.Errorf("what is not confirmed is seen: got %v, error %v", r.State, err)
	}
	if err := replica.Resume(); err != nil {
		t.Fatal(err)
	}
	claims(t, s, unconfirmed, refrain.Run)

	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	promoted := openPlain(t, replica.URL())
	exec(t, promoted, "STOP SLAVE IO_THREAD")
	applied(t, promoted)
	cfg, _ := parseURL(url)
	after, err := parseURL(replica.URL())
	if err != nil {
		t.Fatal(err)
	}
	after.DBName = cfg.DBName
	next, err := OpenConfig(t.Context(), after, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if next.identity != s.identity {
		t.Error("the replica has another identity")
	}
	claims(t, next, again(c), refrain.Replay)
	d := claims(t, next, again(unconfirmed), refrain.InFlight)
	settles(t, next, refrain.Settlement{ID: c.ID, Token: c.Token, Ending: refrain.Forgotten}, nil)
	if later := claims(t, next, again(c), refrain.Run); later.Record.Fence <= d.Record.Fence {
		t.Errorf("got fence %d after %d", later.Record.Fence, d.Record.Fence)
	}
}

// TestReplicasAreSeenByAnybody has a replica follow asynchronously, and a user look who sees no connections but his own.
func TestReplicasAreSeenByAnybody(t *testing.T) {
	t.Parallel()
	primary := startServer(t, "--server-id=1", "--log-bin", "--sync-binlog=1")
	url := database(t, primary)
	cfg, err := parseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	db := openPlain(t, url)
	exec(t, db, "CREATE USER plain@'127.0.0.1'")
	exec(t, db, "GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON "+cfg.DBName+".* TO plain@'127.0.0.1'")
	s := openStore(t, strings.Replace(url, "refrain@", "plain@", 1), Config{})
	defer s.Close()
	wantTier(t, s, refrain.TierStrict)
	servertest.Start(t, func(ctx context.Context, dir string) (*servers.MariaDB, error) {
		return servers.StartMariaDBReplica(ctx, dir, primary, "--rpl-semi-sync-slave-enabled=OFF")
	})
	for n := 0; n == 0; <-time.After(time.Millisecond) {
		const following = "SELECT COUNT(*) FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'"
		if err := db.QueryRow(following).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	wantTier(t, s, refrain.TierBestEffort)
}

// stopped waits until the system has stopped all threads of a process that is paused.
func stopped(t *testing.T, pid int) {
	t.Helper()
	for {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(threads) == 0 {
			t.Skipf("no threads are seen in /proc: %v", err)
		}
		running := slices.IndexFunc(threads, func(file string) bool {
			b, err := os.ReadFile(file)
			return err == nil && !bytes.Contains(b, []byte(") T "))
		})
		if running < 0 {
			return
		}
		<-time.After(time.Millisecond)
	}
}

// applied waits until a replica has applied what it got, which is more than it has confirmed.
func applied(t *testing.T, db *sql.DB) {
	t.Helper()
	for {
		rows, err := db.Query("SHOW SLAVE STATUS")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		columns, _ := rows.Columns()
		values := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if !rows.Next() || rows.Scan(into...) != nil {
			t.Fatalf("no slave status: %v", rows.Err())
		}
		at := func(name string) string { return values[slices.Index(columns, name)].String }
		if at("Master_Log_File") == at("Relay_Master_Log_File") && at("Read_Master_Log_Pos") == at("Exec_Master_Log_Pos") {
			return
		}
		<-time.After(time.Millisecond)
	}
}

func wantTier(t *testing.T, s *Store, want refrain.Tier) {
	t.Helper()
	remarks, err := s.Audit(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if s.Tier() != want {
		t.Errorf("got tier %v of %+v, want %v", s.Tier(), remarks, want)
	}
}

func TestAuditAsksTheServer(t *testing.T) {
	t.Parallel()
	url := database(t, startServer(t, "--innodb-flush-log-at-trx-commit=2", "--max-allowed-packet=1M"))
	s := openStore(t, url, Config{})
	defer s.Close()
	remarks, err := s.Audit(within(t))
	if err != nil {
		t.Fatal(err)
	}
	var warned []string
	for _, r := range remarks {
		if r.Grade == refrain.GradeWarn {
			warned = append(warned, r.Subject)
		}
	}
	if want := []string{"innodb_flush_log_at_trx_commit", "max_allowed_packet"}; !slices.Equal(warned, want) {
		t.Errorf("got warnings of %v, want %v", warned, want)
	}
	exec(t, openPlain(t, url), "SET GLOBAL innodb_flush_log_at_trx_commit = 1")
	wantTier(t, s, refrain.TierStrict)
	c := newClaim() // its outcome is larger than the server takes
	claims(t, s, c, refrain.Run)
	e := finish(&c, string(make([]byte, 1<<20)))
	if r := settles(t, s, e, nil); !r.Outcome.Omitted || r.Outcome.Status != 201 {
		t.Errorf("got outcome %+v, want it without its body", r.Outcome)
	}
	claims(t, s, again(c), refrain.Replay)
}
