package redisstore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// TestEvictionIsRefused starts servers that forget records when they are full, and lets one that did not begin to.
func TestEvictionIsRefused(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	for _, policy := range []string{"allkeys-lru", "allkeys-random", "volatile-lru", "volatile-ttl", "volatile-lfu"} {
		call(t, server, "CONFIG", "SET", "maxmemory-policy", policy)
		_, err := Open(within(t), server.URL(), Config{})
		if err == nil || !strings.Contains(err.Error(), policy) || !strings.Contains(err.Error(), "noeviction") {
			t.Errorf("%s: got error %v, want it to say what to do", policy, err)
		}
		remarks, err := Inspect(within(t), server.URL(), Config{})
		if err != nil || slices.ContainsFunc(remarks, func(r refrain.Remark) bool {
			return r.Grade == refrain.GradeOK && strings.HasPrefix(r.Subject, "eviction")
		}) {
			t.Errorf("%s: got %v, error %v of the audit, want nothing good of eviction", policy, remarks, err)
		}
	}
	call(t, server, "CONFIG", "SET", "maxmemory-policy", "noeviction")
	s := openStore(t, server.URL(), Config{AuditEvery: time.Millisecond})
	call(t, server, "CONFIG", "SET", "maxmemory-policy", "volatile-lru")
	eventually(t, "the watch to notice", func() bool { return s.Err() != nil })
	c := newClaim()
	unavailable(t, s, &c, refrain.ErrUnavailable)
	call(t, server, "CONFIG", "SET", "maxmemory-policy", "noeviction")
	eventually(t, "the store to go on", func() bool { return s.Err() == nil })
	claims(t, s, c, refrain.Run)
}

// TestFull fills a server: it refuses what is new, serves what it knows, and ends what runs when there is room again.
func TestFull(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL(), Config{})
	kept := done(t, s, "paid")
	running := newClaim()
	claims(t, s, running, refrain.Run)
	call(t, server, "CONFIG", "SET", "maxmemory", "1")
	if _, err := s.Claim(within(t), newClaim()); !errors.Is(err, refrain.ErrFull) {
		t.Errorf("a new claim: got error %v, want %v", err, refrain.ErrFull)
	}
	if _, err := s.Settle(within(t), finish(&running, "paid")); !errors.Is(err, refrain.ErrFull) {
		t.Errorf("a finish: got error %v, want %v", err, refrain.ErrFull)
	}
	claims(t, s, again(kept), refrain.Replay)
	claims(t, s, again(running), refrain.InFlight)
	call(t, server, "CONFIG", "SET", "maxmemory", "0")
	if _, err := s.Settle(within(t), finish(&running, "paid")); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

// TestThePausedServer stops a server for longer than callers wait. They are let go, all of them, also when there are more than
// a connection takes; when the server goes on, the store does, and what was sent meanwhile finds itself.
func TestThePausedServer(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL(), Config{AuditEvery: time.Hour})
	done(t, s, "so that there is a connection")
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	sent := make([]refrain.Claim, 5000)
	var all sync.WaitGroup
	for i := range sent {
		sent[i] = newClaim()
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			if _, err := s.Claim(ctx, sent[i]); !isUnavailable(err) {
				t.Errorf("got error %v of a server that does not answer", err)
			}
		})
	}
	all.Wait()
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the store to go on", func() bool {
		_, err := s.Get(within(t), sent[0].ID)
		return err == nil
	})
	for _, c := range sent[:200] {
		first := claims(t, s, c, refrain.Run)
		if second := claims(t, s, c, refrain.Run); second.Record.Fence != first.Record.Fence {
			t.Fatalf("got fences %d and %d of one claim", first.Record.Fence, second.Record.Fence)
		}
		claims(t, s, again(c), refrain.InFlight)
	}
}

// TestTheServerComesBack kills a server and starts it again: the store goes on by itself, and knows what it knew.
func TestTheServerComesBack(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL(), Config{AuditEvery: time.Millisecond})
	c := done(t, s, "paid")
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	unavailable(t, s, &c, refrain.ErrUnavailable)
	if _, err := Open(within(t), server.URL(), Config{}); !isUnavailable(err) {
		t.Errorf("opening: got error %v, want %v", err, refrain.ErrUnavailable)
	}
	if err := server.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the store to go on", func() bool {
		_, err := s.Get(within(t), c.ID)
		return err == nil
	})
	claims(t, s, again(c), refrain.Replay)
	eventually(t, "the watch to notice", func() bool {
		return strings.Contains(audit(t, s), "warn failover: 1 times") && s.Err() == nil
	})
}

// TestAReplicaDecidesNothing turns the server into a replica: it would answer from what it knows, which may be old.
func TestAReplicaDecidesNothing(t *testing.T) {
	t.Parallel()
	master, server := startRedis(t), startRedis(t)
	s := openStore(t, server.URL(), Config{AuditEvery: time.Hour})
	c := done(t, s, "paid")
	call(t, server, "REPLICAOF", "127.0.0.1", strconv.Itoa(master.Port))
	unavailable(t, s, &c, refrain.ErrUnavailable)
	if _, err := Open(within(t), server.URL(), Config{}); !isUnavailable(err) || !strings.Contains(err.Error(), "replica") {
		t.Errorf("opening: got error %v, want that it is a replica", err)
	}
}

// TestFencesOutliveTheClock sets the server's clock back, as far as the fences can tell: they grow all the same.
func TestFencesOutliveTheClock(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL(), Config{})
	c := newClaim()
	first := claims(t, s, c, refrain.Run).Record
	settle(t, s, &c, refrain.Released)
	// An hour later by the clock that it was.
	future := uint64(first.Created.Add(time.Hour).UnixMicro())
	var tag []byte
	tag = append(tag, s.identity.Load().mark...)
	for shift := 56; shift >= 0; shift -= 8 {
		tag = append(tag, byte(future>>shift))
	}
	ctx := within(t)
	key := s.names.of(&c.ID)[0]
	if err := s.client.Do(ctx, s.client.B().Set().Key(key).Value(string(tag)).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	last := future
	for range 3 {
		d := claims(t, s, c, refrain.Run)
		if d.Record.Fence <= last {
			t.Errorf("got fence %d after %d, want a greater one", d.Record.Fence, last)
		}
		last = d.Record.Fence
		settle(t, s, &c, refrain.Released)
	}
}

func settle(tb testing.TB, s *Store, c *refrain.Claim, ending refrain.Ending) {
	tb.Helper()
	if _, err := s.Settle(within(tb), refrain.Settlement{ID: c.ID, Token: c.Token, Ending: ending}); err != nil {
		tb.Fatal(err)
	}
}

// TestDamage damages a record and its outcome at every byte, and puts something else in their place: the operation is unknown
// then, and neither runs nor replays.
func TestDamage(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL(), Config{})
	ctx, b := within(t), s.client.B()
	unknown := func(what string, c refrain.Claim) {
		t.Helper()
		c = again(c)
		c.Rerun = true
		claims(t, s, c, refrain.Unknown)
		if r, err := s.Get(ctx, c.ID); err != nil || r.State != refrain.StateUnknown || r.Outcome != nil {
			t.Fatalf("%s: got state %v and error %v", what, r.State, err)
		}
	}
	c := done(t, s, "paid")
	keys := s.names.of(&c.ID)
	for _, key := range keys[1:] {
		whole, err := s.client.Do(ctx, b.Get().Key(key).Build()).AsBytes()
		if err != nil {
			t.Fatal(err)
		}
		put := func(value string) {
			if err := s.client.Do(ctx, b.Set().Key(key).Value(value).Build()).Error(); err != nil {
				t.Fatal(err)
			}
		}
		for i := range whole {
			damaged := bytes.Clone(whole)
			damaged[i] ^= 1 << (i % 8)
			put(string(damaged))
			unknown("byte "+strconv.Itoa(i), c)
		}
		put(string(whole[:len(whole)-1]))
		unknown("cut", c)
		put("")
		unknown("empty", c)
		put(string(whole))
		claims(t, s, again(c), refrain.Replay)
	}
	other := done(t, s, "another's")
	call(t, server, "COPY", s.names.of(&other.ID)[1], keys[1], "REPLACE")
	unknown("the record of another operation", c)
	c = done(t, s, "paid")
	keys = s.names.of(&c.ID)
	call(t, server, "COPY", s.names.of(&other.ID)[2], keys[2], "REPLACE")
	unknown("the outcome of another operation", c)
	call(t, server, "DEL", keys[2])
	unknown("no outcome", c)
	call(t, server, "LPUSH", keys[2], "x")
	unknown("a list as an outcome", c)
	call(t, server, "DEL", keys[1])
	call(t, server, "LPUSH", keys[1], "x")
	unknown("a list", c)
	if _, err := s.Settle(ctx, finish(&c, "again")); !errors.Is(err, refrain.ErrStale) {
		t.Errorf("settling what cannot be read: got error %v, want %v", err, refrain.ErrStale)
	}
}

// TestNothingIsLeft wants every key of an operation to expire, or to be gone with it.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL(), Config{})
	empty := call(t, server, "DBSIZE")
	for _, ending := range []refrain.Ending{refrain.Finished, refrain.Released, refrain.Undecided} {
		c := newClaim()
		claims(t, s, c, refrain.Run)
		e := finish(&c, "paid")
		e.Ending, e.Retention, e.Tombstone = ending, 2*time.Millisecond, 2*time.Millisecond
		if _, err := s.Settle(within(t), e); err != nil {
			t.Fatal(err)
		}
		if ending == refrain.Undecided {
			settle(t, s, &c, refrain.Released)
		}
	}
	c := newClaim()
	c.Lease = -time.Hour
	claims(t, s, c, refrain.Run)
	e := finish(&c, "unknown")
	e.Ending = refrain.Undecided
	if _, err := s.Settle(within(t), e); err != nil {
		t.Fatal(err)
	}
	rerun := again(c)
	rerun.Rerun = true
	claims(t, s, rerun, refrain.Run) // takes the outcome away that did not tell
	settle(t, s, &rerun, refrain.Released)
	forgotten := done(t, s, "paid")
	ttl, err := strconv.Atoi(call(t, server, "PTTL", s.names.of(&forgotten.ID)[1]))
	outcome, err2 := strconv.Atoi(call(t, server, "PTTL", s.names.of(&forgotten.ID)[2]))
	if err := errors.Join(err, err2); err != nil || outcome <= 0 || outcome > 3_600_000 || ttl <= 3_600_000 || ttl > 7_200_000 {
		t.Errorf("the record lives for %d ms, its outcome for %d ms, %v; want two hours and one", ttl, outcome, err)
	}
	settle(t, s, &forgotten, refrain.Forgotten)
	eventually(t, "all keys to be gone", func() bool { return call(t, server, "DBSIZE") == empty })
}

// TestAudit looks at servers whose settings promise more and less.
func TestAudit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		settings []string
		tier     refrain.Tier
		want     []string
	}{
		{[]string{"appendfsync", "always"}, refrain.TierProcess, []string{"ok appendfsync", "ok eviction", "ok tier", "ok identity"}},
		{[]string{"appendfsync", "everysec"}, refrain.TierProcess, []string{"ok appendfsync"}},
		{[]string{"appendfsync", "no"}, refrain.TierBestEffort, []string{"warn appendfsync", "warn tier"}},
		{[]string{"appendonly", "no", "save", "3600 1"}, refrain.TierBestEffort, []string{"warn appendonly", "warn tier"}},
		{[]string{"appendonly", "no"}, refrain.TierVolatile, []string{"warn appendonly", "warn tier: volatile"}},
	} {
		server := startRedis(t, c.settings...)
		s := openStore(t, server.URL(), Config{})
		if got := s.Tier(); got != c.tier {
			t.Errorf("%v: got tier %s, want %s", c.settings, got, c.tier)
		}
		text := audit(t, s)
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%v: got\n%swant %q", c.settings, text, want)
			}
		}
		call(t, server, "DEL", s.names.store)
		if text := audit(t, s); !strings.Contains(text, "FAULT identity") {
			t.Errorf("without its identity: got\n%s", text)
		}
	}
}

// TestAuditTellsThatNothingCanBeWritten looks at a server that refuses all writes, since it could not write a snapshot.
func TestAuditTellsThatNothingCanBeWritten(t *testing.T) {
	t.Parallel()
	server := startRedis(t, "save", "3600 1", "enable-protected-configs", "yes")
	s := openStore(t, server.URL(), Config{AuditEvery: time.Hour})
	if text := audit(t, s); strings.Contains(text, "snapshot of") {
		t.Errorf("got\n%s", text)
	}
	folder := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	call(t, server, "CONFIG", "SET", "dir", folder)
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	call(t, server, "BGSAVE")
	eventually(t, "the snapshot to fail", func() bool {
		return strings.Contains(call(t, server, "INFO", "persistence"), "rdb_last_bgsave_status:err")
	})
	c := newClaim()
	unavailable(t, s, &c, refrain.ErrUnavailable)
	if text := audit(t, s); !strings.Contains(text, "warn snapshot of") {
		t.Errorf("got\n%s", text)
	}
}

// TestInspectChangesNothing looks at a database that has never been used, at one that has, and at one that has lost its identity.
func TestInspectChangesNothing(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	inspects := func(want string) {
		t.Helper()
		before := call(t, server, "DBSIZE")
		remarks, err := Inspect(within(t), server.URL(), Config{})
		if text := written(remarks); err != nil || !strings.Contains(text, want) || !strings.Contains(text, "ok tier: process") {
			t.Errorf("got error %v and\n%swant %q", err, text, want)
		}
		if after := call(t, server, "DBSIZE"); after != before {
			t.Errorf("%q: there were %s keys, and are %s", want, before, after)
		}
	}
	inspects("ok identity: none yet")
	s := openStore(t, server.URL(), Config{AuditEvery: time.Hour})
	inspects("ok identity: " + s.Identity())
	call(t, server, "DEL", s.names.store)
	inspects("FAULT identity: the database is not " + s.Identity())
}

func audit(tb testing.TB, s *Store) string {
	tb.Helper()
	remarks, err := s.Audit(within(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return written(remarks)
}

func written(remarks []refrain.Remark) string {
	var text strings.Builder
	for _, r := range remarks {
		text.WriteString(string(r.Grade) + " " + r.Subject + ": " + r.Text + "\n")
	}
	return text.String()
}

// TestAUserWithFewRights uses the store as a user of Redis who may do no more than docs/stores.md says.
func TestAUserWithFewRights(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	call(t, server, "ACL", "SETUSER", "refrain", "on", ">secret", "~refrain:*",
		"&refrain:*", "+@all", "-@dangerous", "+info", "+role", "+config|get")
	url := strings.Replace(server.URL(), "://", "://refrain:secret@", 1)
	s := openStore(t, url, Config{})
	c := done(t, s, "paid")
	claims(t, s, again(c), refrain.Replay)
	if all, err := s.List(within(t), refrain.ListQuery{}); err != nil || len(all) != 1 || all[0].ID != c.ID {
		t.Errorf("got the list %v and error %v, want one operation", all, err)
	}
	if text := audit(t, s); strings.Contains(text, "FAULT") || strings.Contains(text, "does not tell") {
		t.Errorf("got\n%s", text)
	}
	owner := openStore(t, url, Config{})
	eventually(t, "the waiter to be told", func() bool { return told(t, owner, s, refrain.Finished) })
}
