package redisstore

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
	"github.com/refrain-dev/refrain/storetest"
)

func startCluster(tb testing.TB) *servers.RedisCluster {
	tb.Helper()
	return servertest.Start(tb, func(ctx context.Context, dir string) (*servers.RedisCluster, error) {
		return servers.StartRedisCluster(ctx, dir)
	})
}

func startSentinel(tb testing.TB) *servers.RedisSentinel {
	tb.Helper()
	return servertest.Start(tb, func(ctx context.Context, dir string) (*servers.RedisSentinel, error) {
		return servers.StartRedisSentinel(ctx, dir)
	})
}

// reopened is a store whose servers stay when the suite restarts it.
type reopened struct {
	*Store

	url string
	cfg Config
}

func (r reopened) Reopen(t *testing.T) refrain.Store {
	return reopened{openStore(t, r.url, r.cfg), r.url, r.cfg}
}

func TestContractOfManyServers(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"cluster": startCluster(t).URL(), "sentinel": startSentinel(t).URL()} {
		for waits, cfg := range map[string]Config{"alone": {}, "waiting": {Wait: 1, WaitTimeout: 20 * time.Second}} {
			t.Run(name+"/"+waits, func(t *testing.T) {
				t.Parallel()
				storetest.Run(t, func(t *testing.T) refrain.Store { return reopened{openStore(t, url, cfg), url, cfg} })
			})
		}
	}
}

// A ledger is what many clients were told, whatever became of the servers meanwhile.
type ledger struct {
	mu     sync.Mutex
	runs   map[refrain.ID]refrain.Token // claims that were told to run
	done   map[refrain.ID]refrain.Claim // operations whose finish was acknowledged
	errs   atomic.Int64
	calls  atomic.Int64
	stop   chan struct{}
	all    sync.WaitGroup
	strict bool // no acknowledged write may be lost
}

// load claims and finishes operations on the store until it is stopped, and claims each of them once more.
func load(t *testing.T, s *Store, strict bool) *ledger {
	t.Helper()
	l := &ledger{
		runs: make(map[refrain.ID]refrain.Token), done: make(map[refrain.ID]refrain.Claim), stop: make(chan struct{}), strict: strict,
	}
	for range 8 {
		l.all.Go(func() {
			pace := time.NewTicker(4 * time.Millisecond) // leaves something of the machine for the servers
			defer pace.Stop()
			for {
				select {
				case <-l.stop:
					return
				case <-pace.C:
					l.operation(t, s)
				}
			}
		})
	}
	return l
}

func (l *ledger) operation(t *testing.T, s *Store) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c := newClaim()
	l.claim(ctx, t, s, c)
	l.claim(ctx, t, s, again(c))
	l.mu.Lock()
	c.Token = l.runs[c.ID]
	l.mu.Unlock()
	if c.Token == (refrain.Token{}) {
		return
	}
	_, err := s.Settle(ctx, finish(&c, "paid"))
	if l.calls.Add(1); err == nil {
		l.mu.Lock()
		l.done[c.ID] = c
		l.mu.Unlock()
		return
	}
	l.fails(t, err)
}

func (l *ledger) claim(ctx context.Context, t *testing.T, s *Store, c refrain.Claim) {
	d, err := s.Claim(ctx, c)
	if l.calls.Add(1); err != nil {
		l.fails(t, err)
		return
	}
	if d.Verdict != refrain.Run {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if first, twice := l.runs[c.ID]; twice && first != c.Token && l.strict {
		t.Errorf("operation %s was run by two", c.ID)
	}
	l.runs[c.ID] = c.Token
}

// fails notes a call that was not answered, which is all that may happen. Without waiting for replicas a failover may lose a
// claim, too.
func (l *ledger) fails(t *testing.T, err error) {
	if !isUnavailable(err) && (l.strict || !errors.Is(err, refrain.ErrStale)) {
		t.Errorf("got error %v", err)
	}
	l.errs.Add(1)
}

// goesOn waits until so many more calls are answered.
func (l *ledger) goesOn(tb testing.TB, more int) {
	tb.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.done)
	}
	want := count() + more
	eventually(tb, "operations to be done", func() bool { return count() >= want })
}

// end stops the load and wants what was acknowledged to be there.
func (l *ledger) end(t *testing.T, s *Store) {
	t.Helper()
	close(l.stop)
	l.all.Wait()
	lost := 0
	for _, c := range l.done {
		var d refrain.Decision
		eventually(t, "an answer", func() (ok bool) {
			var err error
			d, err = s.Claim(within(t), again(c))
			return err == nil
		})
		if d.Verdict != refrain.Replay {
			lost++
		}
	}
	t.Logf("%d calls, %d errors, %d operations done, %d of them lost", l.calls.Load(), l.errs.Load(), len(l.done), lost)
	if lost > 0 && l.strict {
		t.Errorf("%d of %d outcomes that were acknowledged are lost", lost, len(l.done))
	}
}

// TestSentinelFailover kills the master under load. The store goes on with the new one by itself. What a replica had confirmed,
// nobody loses: with a replica of two left to be chosen, each has to confirm.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]int{"as it is": 0, "waiting for both replicas": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			group := startSentinel(t)
			s := openStore(t, group.URL(), Config{Wait: wait})
			if got := s.Tier(); got != refrain.TierBestEffort {
				t.Errorf("got tier %s", got)
			}
			l := load(t, s, wait > 0)
			l.goesOn(t, 100)
			before, err := group.Master(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := before.Kill(); err != nil {
				t.Fatal(err)
			}
			if wait > 0 { // nothing is acknowledged that two have not confirmed, until the old master is back as a replica
				eventually(t, "a failover", func() bool {
					after, err := group.Master(t.Context())
					return err == nil && after != before
				})
				if err := before.Start(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			l.goesOn(t, 100)
			l.end(t, s)
			if l.errs.Load() == 0 {
				t.Error("no call failed: was there a failover?")
			}
		})
	}
}

// TestReshard moves slots from one node to another, with all the keys in them, under load: nothing is lost or runs twice.
func TestReshard(t *testing.T) {
	t.Parallel()
	group := startCluster(t)
	s := openStore(t, group.URL(), Config{})
	l := load(t, s, true)
	l.goesOn(t, 500)
	masters, err := group.Masters(t.Context())
	if err != nil || len(masters) != 3 {
		t.Fatalf("got %d masters, %v", len(masters), err)
	}
	keys := call(t, masters[1], "DBSIZE")
	if err := group.Move(t.Context(), masters[0], masters[1], 1500); err != nil {
		t.Fatal(err)
	}
	if after := call(t, masters[1], "DBSIZE"); after == keys {
		t.Errorf("%s keys before and after: nothing has moved", keys)
	}
	l.goesOn(t, 500)
	l.end(t, s)
}

// TestMasterOfAClusterDies kills one of three masters under load: its replica takes over, and the store goes on by itself.
func TestMasterOfAClusterDies(t *testing.T) {
	t.Parallel()
	group := startCluster(t)
	s := openStore(t, group.URL(), Config{Wait: 1, WaitTimeout: 300 * time.Millisecond})
	l := load(t, s, true)
	l.goesOn(t, 100)
	masters, err := group.Masters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := masters[0].Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a replica to take over", func() bool {
		now, err := group.Masters(t.Context())
		return err == nil && len(now) == 3
	})
	if err := masters[0].Start(context.Background()); err != nil { // a replica from now on, which confirms
		t.Fatal(err)
	}
	eventually(t, "the cluster to be whole", func() bool { return group.Whole(t.Context()) == nil })
	l.goesOn(t, 100)
	l.end(t, s)
	if l.errs.Load() == 0 {
		t.Error("no call failed: was there a failover?")
	}
}

// TestAShardIsEmptied loses what one of three masters had: a third of the operations is refused until an operator says so.
func TestAShardIsEmptied(t *testing.T) {
	t.Parallel()
	group := startCluster(t)
	s := openStore(t, group.URL(), Config{AuditEvery: time.Hour})
	masters, err := group.Masters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	call(t, masters[2], "FLUSHALL")
	refused := 0
	for range 300 {
		switch d, err := s.Claim(within(t), newClaim()); {
		case isLost(err):
			refused++
		case err != nil || d.Verdict != refrain.Run:
			t.Fatalf("got verdict %v and error %v", d.Verdict, err)
		}
	}
	if refused < 30 || refused > 200 {
		t.Errorf("%d of 300 operations were refused, want about a third", refused)
	}
	confirm(t, s, func(command ...string) string { return call(t, masters[0], command...) })
	for range 100 {
		claims(t, s, newClaim(), refrain.Run)
	}
}

// TestReplicasThatDoNotConfirm pauses the replica that has to: no claim runs and no finish is acknowledged, and whoever asks
// again when it is back finds itself.
func TestReplicasThatDoNotConfirm(t *testing.T) {
	t.Parallel()
	master, replica := startRedis(t), startRedis(t, "repl-diskless-sync-delay", "0")
	url := master.URL() + "?wait=1&wait_timeout=50ms"
	alone := openStore(t, url, Config{})
	if text := audit(t, alone); !strings.Contains(text, "FAULT replicas") {
		t.Errorf("without a replica: got\n%s", text)
	}
	if d, err := alone.Claim(within(t), newClaim()); !isUnavailable(err) {
		t.Errorf("without a replica: got verdict %v and error %v", d.Verdict, err)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(master.URL(), "redis://"), ":")
	call(t, replica, "REPLICAOF", "127.0.0.1", port)
	s := openStore(t, url, Config{})
	running := newClaim()
	eventually(t, "the replica to confirm", func() bool {
		_, err := s.Claim(within(t), running)
		return err == nil
	})
	patient := openStore(t, master.URL()+"?wait=1&wait_timeout=10s", Config{}) // for what must be confirmed, however busy the machine
	kept := done(t, patient, "paid")
	other := openStore(t, url, Config{AuditEvery: time.Hour})
	eventually(t, "a connection of the other's, which writes nothing from now on", func() bool {
		d, err := other.Claim(within(t), again(kept))
		return err == nil && d.Verdict == refrain.Replay
	})
	if err := replica.Pause(); err != nil {
		t.Fatal(err)
	}
	c := newClaim()
	for what, f := range map[string]func() error{
		"a claim":  func() error { _, err := s.Claim(within(t), c); return err },
		"a finish": func() error { _, err := s.Settle(within(t), finish(&running, "paid")); return err },
	} {
		if err := f(); !isUnavailable(err) || !strings.Contains(err.Error(), "0 of 1 replicas") {
			t.Errorf("%s: got error %v, want that no replica has confirmed it", what, err)
		}
	}
	// What the master alone knows is shown to nobody.
	for what, store := range map[string]*Store{"the same process": s, "another process": other} {
		if d, err := store.Claim(within(t), again(running)); !isUnavailable(err) {
			t.Errorf("a replay of what no replica has, to %s: got verdict %v and error %v", what, d.Verdict, err)
		}
	}
	if err := replica.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica to confirm", func() bool {
		_, err := s.Get(within(t), kept.ID)
		return err == nil
	})
	claims(t, patient, c, refrain.Run)
	if _, err := patient.Settle(within(t), finish(&running, "paid")); err != nil {
		t.Error(err)
	}
	claims(t, patient, again(running), refrain.Replay)
}

// TestWhatIsConfirmedIsWritten looks into the server's file: a replay writes to it if replicas are to confirm what it shows, for
// since Redis 7.2 WAIT waits for nothing else, and else it does not.
func TestWhatIsConfirmedIsWritten(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	plain := openStore(t, server.URL(), Config{})
	kept := done(t, plain, "paid")
	waiting := openStore(t, server.URL()+"?wait=1&wait_timeout=1ms", Config{})
	for _, full := range []string{"0", "1"} {
		call(t, server, "CONFIG", "SET", "maxmemory", full)
		before := fileSize(t, server)
		claims(t, plain, again(kept), refrain.Replay)
		if now := fileSize(t, server); now != before {
			t.Errorf("maxmemory %s: a replay has written %d bytes", full, now-before)
		}
		if d, err := waiting.Claim(within(t), again(kept)); !isUnavailable(err) || !strings.Contains(err.Error(), "0 of 1 replicas") {
			t.Errorf("maxmemory %s: got verdict %v and error %v, want that no replica has confirmed it", full, d.Verdict, err)
		}
		if fileSize(t, server) == before {
			t.Errorf("maxmemory %s: a replay that has to be confirmed has written nothing", full)
		}
	}
	if left := call(t, server, "PTTL", plain.names.of(&kept.ID)[0]); left != "-1" {
		t.Errorf("got a mark that is forgotten in %s ms, want one that stays", left)
	}
}

func fileSize(t *testing.T, server *servers.Redis) int64 {
	t.Helper()
	_, size, _ := strings.Cut(call(t, server, "INFO", "persistence"), "aof_current_size:")
	size, _, _ = strings.Cut(size, "\r\n")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestWaitForTheDisk waits until the server's own disk has each transition. Servers that cannot tell are refused.
func TestWaitForTheDisk(t *testing.T) {
	t.Parallel()
	server := startRedis(t, "appendfsync", "always")
	url := server.URL() + "?wait_fsync=true"
	if strings.TrimSpace(call(t, server, "COMMAND", "INFO", "WAITAOF")) == "" {
		if _, err := Open(within(t), url, Config{}); !isUnavailable(err) || !strings.Contains(err.Error(), "7.2") {
			t.Errorf("got error %v, want it to name the version that it takes", err)
		}
		return
	}
	s := openStore(t, url, Config{})
	c := done(t, s, "paid")
	claims(t, s, again(c), refrain.Replay)
	call(t, server, "CONFIG", "SET", "appendonly", "no")
	if d, err := s.Claim(within(t), newClaim()); !isUnavailable(err) {
		t.Errorf("without a file: got verdict %v and error %v", d.Verdict, err)
	}
}

// TestTheWrongScheme opens servers by the scheme of others.
func TestTheWrongScheme(t *testing.T) {
	t.Parallel()
	one, many := startRedis(t), startCluster(t)
	_, err := Open(within(t), strings.Replace(one.URL(), "redis:", "redis+cluster:", 1), Config{})
	if err == nil || !strings.Contains(err.Error(), "redis://") {
		t.Errorf("a single server as a cluster: got error %v, want it to name the scheme", err)
	}
	_, err = Open(within(t), many.Servers[0].URL(), Config{})
	if err == nil || !strings.Contains(err.Error(), "redis+cluster://") {
		t.Errorf("a node of a cluster as a single server: got error %v, want it to name the scheme", err)
	}
}
