package storage

import (
	"context"
	"database/sql"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
	"github.com/refrain-dev/refrain/mysqlstore"
	"github.com/refrain-dev/refrain/pgstore"
)

// isAway opens the store of a URL, and reports whether it is waited for. Otherwise there is an error.
func isAway(t *testing.T, url string) (bool, error) {
	t.Helper()
	store, err := config.ParseStore(url)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), &config.Config{Store: store, Journal: t.TempDir()}, slog.New(slog.DiscardHandler))
	if err != nil {
		return false, err
	}
	away := s.Away() != nil
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return away, nil
}

// judge sees that what is wrong with one URL is a fault, and that all others are of stores that may come back.
func judge(t *testing.T, faults, outages map[string]string) {
	t.Helper()
	for why, url := range faults {
		if away, err := isAway(t, url); err == nil {
			t.Errorf("%s: got no error (away: %t), want one", why, away)
		}
	}
	for why, url := range outages {
		if away, err := isAway(t, url); err != nil || !away {
			t.Errorf("%s: got away: %t and error %v, want it to be waited for", why, away, err)
		}
	}
}

// as returns the URL with another user, and another path unless that is empty.
func as(t *testing.T, text string, user *url.Userinfo, path string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if u.User = user; path != "" {
		u.Path = path
	}
	return u.String()
}

// nowhere returns the URL with a port that nobody listens on.
func nowhere(t *testing.T, text string, port int) string {
	t.Helper()
	free, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(text, strconv.Itoa(port), strconv.Itoa(free), 1)
}

func TestOutagesOfRedis(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Redis, error) { return servers.StartRedis(ctx, dir) })
	replica := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Redis, error) {
		return servers.StartRedis(ctx, dir, "replicaof", "127.0.0.1 "+strconv.Itoa(s.Port))
	})
	if _, err := s.Call(t.Context(), "ACL", "SETUSER", "ann", "on", ">pw", "~refrain:*", "+get"); err != nil {
		t.Fatal(err)
	}
	stranger := httptest.NewTLSServer(nil)
	defer stranger.Close()
	judge(t, map[string]string{
		"password":    as(t, s.URL(), url.UserPassword("nobody", "pw"), ""),
		"no right":    as(t, s.URL(), url.UserPassword("ann", "pw"), ""),
		"no database": s.URL() + "/99",
		"no cluster":  strings.Replace(s.URL(), "redis:", "redis+cluster:", 1),
		"too old":     s.URL() + "?wait_fsync=true",
		"certificate": strings.Replace(stranger.URL, "https:", "rediss:", 1),
	}, map[string]string{
		"nobody listens": nowhere(t, s.URL(), s.Port),
		"no such host":   "redis://refrain.invalid",
		"replica":        replica.URL(),
	})
}

func TestOutagesOfPostgres(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
		return servers.StartPostgres(ctx, dir)
	})
	if err := pgstore.Migrate(t.Context(), s.URL("postgres"), ""); err != nil {
		t.Fatal(err)
	}
	judge(t, map[string]string{
		"no schema":   s.URL("template1"),
		"no database": s.URL("none"),
		"no user":     as(t, s.URL("postgres"), url.User("nobody"), ""),
	}, map[string]string{
		"nobody listens": nowhere(t, s.URL("postgres"), s.Port),
		"no such host":   "postgres://refrain.invalid/postgres",
	})
}

func TestOutagesOfMariaDB(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(ctx context.Context, dir string) (*servers.MariaDB, error) { return servers.StartMariaDB(ctx, dir) })
	if err := mysqlstore.Migrate(t.Context(), s.URL()); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", "refrain@tcp(127.0.0.1:"+strconv.Itoa(s.Port)+")/refrain")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		"CREATE USER ann@'%'", "GRANT SELECT, INSERT, UPDATE, DELETE ON refrain.* TO ann@'%'", // but not EXECUTE
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	judge(t, map[string]string{
		"no schema":   as(t, s.URL(), url.User("refrain"), "/mysql"),
		"no database": as(t, s.URL(), url.User("refrain"), "/none"),
		"no user":     as(t, s.URL(), url.User("nobody"), ""),
		"no right":    as(t, s.URL(), url.User("ann"), ""),
	}, map[string]string{
		"nobody listens": nowhere(t, s.URL(), s.Port),
		"no such host":   "mysql://refrain@refrain.invalid/refrain",
	})
}
