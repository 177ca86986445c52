package redisstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// isLost reports whether the error says that the database is not the one it was.
func isLost(err error) bool {
	lost := (*LostError)(nil)
	return errors.As(err, &lost) && errors.Is(err, refrain.ErrUnavailable)
}

// refusesAsLost wants every call on the operation to be refused because the database is not the one it was.
func refusesAsLost(tb testing.TB, s *Store, c refrain.Claim) {
	tb.Helper()
	ctx := within(tb)
	_, claimed := s.Claim(ctx, c)
	_, settled := s.Settle(ctx, finish(&c, "refused"))
	_, got := s.Get(ctx, c.ID)
	for name, err := range map[string]error{
		"Claim": claimed, "Settle": settled, "Get": got,
		"Renew": s.Renew(ctx, refrain.Renewal{ID: c.ID, Token: c.Token, Lease: time.Hour}), "Err": s.Err(),
	} {
		if !isLost(err) {
			tb.Errorf("%s: got error %v, want a LostError", name, err)
		}
	}
}

// confirm has an operator accept the loss, as the error says that it is done.
func confirm(tb testing.TB, s *Store, command func(...string) string) {
	tb.Helper()
	_, what, ok := strings.Cut(s.Err().Error(), "redis-cli ")
	if !ok {
		tb.Fatalf("got %v, want it to say what to do", s.Err())
	}
	command(strings.Fields(what)...)
	eventually(tb, "the store to go on", func() bool { return s.Err() == nil })
}

// TestFlushAllUnderLoad empties the database while many claim: whatever is asked afterwards does not run, until an operator
// says that it may. Then fences go on from where they were.
func TestFlushAllUnderLoad(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL(), Config{AuditEvery: time.Hour})
	other := openStore(t, server.URL(), Config{AuditEvery: time.Hour})
	before := claims(t, s, newClaim(), refrain.Run).Record
	secret, _ := s.Secret(t.Context())

	var flushed atomic.Bool
	var all sync.WaitGroup
	var ran, refused atomic.Int64
	for i := range 16 {
		all.Go(func() {
			on := []*Store{s, other}[i%2]
			for refused.Load() < 500 {
				late := flushed.Load()
				d, err := on.Claim(within(t), newClaim())
				switch {
				case late && !isLost(err):
					t.Errorf("after FLUSHALL: got verdict %v and error %v, want a LostError", d.Verdict, err)
					return
				case err == nil:
					ran.Add(1)
				case isLost(err):
					refused.Add(1)
				default:
					t.Errorf("got error %v", err)
					return
				}
			}
		})
	}
	eventually(t, "claims to run", func() bool { return ran.Load() > 500 })
	call(t, server, "FLUSHALL")
	flushed.Store(true)
	all.Wait()
	for _, on := range []*Store{s, other} {
		refusesAsLost(t, on, newClaim())
	}
	if _, err := Open(within(t), server.URL(), Config{Identity: s.Identity()}); !isLost(err) {
		t.Errorf("opening the emptied database by its identity: got error %v, want a LostError", err)
	}
	eventually(t, "word of the loss", func() bool { return call(t, server, "GET", s.names.lost) == s.Identity() })
	if _, err := Open(within(t), server.URL(), Config{}); !isLost(err) {
		t.Errorf("opening the emptied database: got error %v, want a LostError", err)
	}

	confirm(t, s, func(command ...string) string { return call(t, server, command...) })
	eventually(t, "the other process to go on", func() bool { return other.Err() == nil })
	if after := claims(t, other, newClaim(), refrain.Run).Record; after.Fence <= before.Fence {
		t.Errorf("got fence %d after %d, want a greater one", after.Fence, before.Fence)
	}
	again := openStore(t, server.URL(), Config{Identity: s.Identity()})
	if got, _ := again.Secret(t.Context()); string(got) != string(secret) {
		t.Error("the secret of the restored store is another")
	}
	eventually(t, "the end of the confirmation, which the one that mends removes last", func() bool {
		return call(t, server, "EXISTS", s.names.confirm, s.names.lost) == "0"
	})
	call(t, server, "FLUSHALL")
	refusesAsLost(t, s, newClaim()) // one confirmation is for one loss
}

// TestAPartIsLost loses one part of the database, as a Cluster that loses a shard does: operations in it are refused, the
// others are not, and whoever opens the store is told too.
func TestAPartIsLost(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL(), Config{AuditEvery: time.Hour})
	lost, kept := newClaim(), newClaim()
	lost.ID[0], kept.ID[0] = 1, 2
	for key := range strings.FieldsSeq(call(t, server, "KEYS", s.names.of(&lost.ID)[0]+"*")) {
		call(t, server, "DEL", key)
	}
	refusesAsLost(t, s, lost)
	claims(t, s, kept, refrain.Run)
	_, err := Open(within(t), server.URL(), Config{})
	if !isLost(err) || !strings.Contains(err.Error(), "0.1 %") {
		t.Errorf("opening: got error %v, want a LostError of 0.1 %%", err)
	}
	confirm(t, s, func(command ...string) string { return call(t, server, command...) })
	claims(t, s, lost, refrain.Run)
	claims(t, s, again(kept), refrain.InFlight)
}

// TestTheConfirmationGoesToTheDatabase loses a database that is not the first of its server, and does as the error says.
func TestTheConfirmationGoesToTheDatabase(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL()+"/2", Config{AuditEvery: time.Hour})
	call(t, server, "-n", "2", "FLUSHDB")
	refusesAsLost(t, s, newClaim())
	confirm(t, s, func(command ...string) string { return call(t, server, command...) })
	claims(t, s, newClaim(), refrain.Run)
}

// TestTheIdentityItselfIsLost deletes the key that the processes share: those that run notice when they look, those that begin
// at once. A confirmation brings it back with the secret that it had.
func TestTheIdentityItselfIsLost(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL(), Config{AuditEvery: time.Millisecond})
	call(t, server, "DEL", s.names.store)
	eventually(t, "the watch to notice", func() bool { return isLost(s.Err()) })
	if _, err := Open(within(t), server.URL(), Config{}); !isLost(err) {
		t.Errorf("opening: got error %v, want a LostError", err)
	}
	confirm(t, s, func(command ...string) string { return call(t, server, command...) })
	if got := openStore(t, server.URL(), Config{}).Identity(); got != s.Identity() {
		t.Errorf("got identity %s, want %s", got, s.Identity())
	}
}

// TestNobodyIsLeftWhoKnewTheSecret begins anew where an operator says so and no process remembers.
func TestNobodyIsLeftWhoKnewTheSecret(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL(), Config{})
	was := s.Identity()
	s.Close()
	call(t, server, "DEL", s.names.store)
	_, err := Open(within(t), server.URL(), Config{})
	if lost := (*LostError)(nil); !errors.As(err, &lost) || lost.Identity != was {
		t.Fatalf("got error %v, want the loss of %s", err, was)
	}
	call(t, server, "SET", s.names.confirm, was)
	after := openStore(t, server.URL(), Config{})
	if after.Identity() == was {
		t.Error("got the identity whose secret nobody knows")
	}
	claims(t, after, newClaim(), refrain.Run)
}

// TestWrongDatabase opens another database of the same server by the identity of the first.
func TestWrongDatabase(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	identity := openStore(t, server.URL(), Config{}).Identity()
	if _, err := Open(within(t), server.URL()+"/1?identity="+identity, Config{}); !isLost(err) {
		t.Errorf("got error %v, want a LostError", err)
	}
	other := openStore(t, server.URL()+"/2", Config{})
	_, err := Open(within(t), server.URL()+"/2?identity="+identity, Config{})
	if lost := (*LostError)(nil); !errors.As(err, &lost) || lost.Found != other.Identity() {
		t.Errorf("got error %v, want it to name the identity %s", err, other.Identity())
	}
}

// TestAnEmptyServerTakesOver is what a failover to a replica looks like that had nothing of the database.
func TestAnEmptyServerTakesOver(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL(), Config{AuditEvery: time.Hour})
	c := done(t, s, "paid")
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(server.Dir, "*.aof"))
	for _, f := range files {
		if err := os.RemoveAll(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	refused := 0
	eventually(t, "the server to answer on every connection", func() bool {
		_, err := s.Claim(within(t), again(c))
		if err == nil {
			t.Fatal("the operation was claimed once more")
		}
		if refused++; !isLost(err) {
			refused = 0
		}
		return refused == 30
	})
	refusesAsLost(t, s, again(c))
}

// TestManyOpenANewDatabase has many processes begin at once in a database that is new: they agree.
func TestManyOpenANewDatabase(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	identities := make([]string, 8)
	var all sync.WaitGroup
	for i := range identities {
		all.Go(func() {
			s, err := Open(within(t), server.URL(), Config{})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			identities[i] = s.Identity()
			claims(t, s, newClaim(), refrain.Run)
		})
	}
	all.Wait()
	for _, got := range identities {
		if got != identities[0] {
			t.Errorf("got identities %s and %s", got, identities[0])
		}
	}
}
