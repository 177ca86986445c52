package redisstore

import (
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
)

// commands returns how often the server got a command from a client, and how often it failed.
func commands(tb testing.TB, r *servers.Redis, name string) (calls, failed int) {
	tb.Helper()
	return countOf(call(tb, r, "INFO", "commandstats"), name)
}

// countOf reads what INFO says of a command.
func countOf(stats, name string) (calls, failed int) {
	m := regexp.MustCompile(`cmdstat_` + name + `:calls=(\d+),.*failed_calls=(\d+)`).FindStringSubmatch(stats)
	if m == nil {
		return 0, 0
	}
	calls, _ = strconv.Atoi(m[1])
	failed, _ = strconv.Atoi(m[2])
	return calls, failed
}

// TestOneRoundTrip counts what the server gets: one command for each claim, finish, renewal and read, whatever their answers.
func TestOneRoundTrip(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL(), Config{AuditEvery: time.Hour})
	warm := done(t, s, "so that the server knows the scripts")
	_ = s.Renew(within(t), refrain.Renewal{ID: warm.ID, Token: warm.Token})
	_, _ = s.Get(within(t), warm.ID)
	call(t, server, "CONFIG", "RESETSTAT")

	const each, goroutines = 50, 16
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range each {
				c := done(t, s, "paid")
				_, err := s.Claim(within(t), again(c))
				if err == nil {
					_, err = s.Get(within(t), c.ID)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if calls, failed := commands(t, server, "evalsha"); calls != 4*each*goroutines || failed != 0 {
		t.Errorf("got %d commands, %d of which failed, want %d", calls, failed, 4*each*goroutines)
	}
	for _, name := range []string{"eval", "hello", "config|get", "script|load", "multi"} {
		if calls, _ := commands(t, server, regexp.QuoteMeta(name)); calls > 1 { // one INFO is this test's
			t.Errorf("got %d of %s besides", calls, name)
		}
	}
}

// TestTheServerForgetsTheScripts sends the text of a script where the server does not know its name, once.
func TestTheServerForgetsTheScripts(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL(), Config{AuditEvery: time.Hour})
	for range 3 {
		call(t, server, "SCRIPT", "FLUSH")
		call(t, server, "CONFIG", "RESETSTAT")
		c := done(t, s, "paid")
		claims(t, s, again(c), refrain.Replay)
		if calls, failed := commands(t, server, "evalsha"); calls != 3 || failed != 2 {
			t.Errorf("got %d calls by name, of which %d failed, want 3 and 2", calls, failed)
		}
		if calls, failed := commands(t, server, "eval"); calls != 2 || failed != 0 {
			t.Errorf("got %d calls with the text, of which %d failed, want 2 and none", calls, failed)
		}
	}
}
