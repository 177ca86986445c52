package storage

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/refrain-dev/refrain"
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

// A Sentinel that knows no such master says so at once, and a server that is no Sentinel too.
func TestOutagesOfSentinel(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(ctx context.Context, dir string) (*servers.RedisSentinel, error) {
		return servers.StartRedisSentinel(ctx, dir)
	})
	sentinel := s.Sentinels[0]
	judge(t, map[string]string{
		"no such master":      strings.Replace(s.URL(), "/"+servers.SentinelMaster, "/another", 1),
		"Redis, no Sentinel":  strings.Replace(s.Servers[0].URL(), "redis:", "redis+sentinel:", 1) + "/" + servers.SentinelMaster,
		"Sentinel, no Redis":  sentinel.URL(),
		"password":            as(t, s.URL(), url.UserPassword("nobody", "pw"), ""),
		"Sentinel's password": s.URL() + "?sentinel_user=nobody&sentinel_password=pw",
	}, nil)
	for _, server := range s.Servers {
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	judge(t, nil, map[string]string{"no server": s.URL()})
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

// PgBouncer tells of all with one code: who is not let in does not wait, and who is while the server is away does.
func TestOutagesOfPgBouncer(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
		return servers.StartPostgres(ctx, dir)
	})
	pooler := servertest.Start(t, func(ctx context.Context, dir string) (*servers.PgBouncer, error) {
		return servers.StartPgBouncer(ctx, dir, s, 2)
	})
	if err := pgstore.Migrate(t.Context(), pooler.URL("postgres"), ""); err != nil {
		t.Fatal(err)
	}
	judge(t, map[string]string{"no schema": pooler.URL("template1"), "no database": pooler.URL("none")}, nil)
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	judge(t, nil, map[string]string{"no server": pooler.URL("postgres")})
	for text, denied := range map[string]bool{ // as PgBouncer 1.18 says it
		"password authentication failed": true, "SASL authentication failed": true, "no such database: shop": true,
		"no such user: ann": true, `role "ann" does not exist`: true,
		"no more connections allowed (max_client_conn)": false, "query_wait_timeout": false,
		"server login has been failing, try again later (server_login_retry)": false, "the database system is starting up": false,
	} {
		err := fmt.Errorf("%w: %w", refrain.ErrUnavailable, &pgconn.PgError{Code: "08P01", Message: text})
		if isOutage(err) == denied {
			t.Errorf("%s: got an outage: %t, want the opposite", text, !denied)
		}
	}
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
		"CREATE USER bob@'%' ACCOUNT LOCK", "GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON refrain.* TO bob@'%'",
		"CREATE USER cai@'%' PASSWORD EXPIRE", "GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON refrain.* TO cai@'%'",
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
		"locked":      as(t, s.URL(), url.User("bob"), ""),
		"expired":     as(t, s.URL(), url.User("cai"), ""),
	}, map[string]string{
		"nobody listens": nowhere(t, s.URL(), s.Port),
		"no such host":   "mysql://refrain@refrain.invalid/refrain",
	})
	if _, err := db.ExecContext(t.Context(), "SET GLOBAL read_only = ON"); err != nil {
		t.Fatal(err)
	}
	judge(t, nil, map[string]string{"replica, and a user who may write to it": s.URL()})
}
