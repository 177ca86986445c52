package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	_ "github.com/jackc/pgx/v5/stdlib" // to make the table of the peer

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/pgstore"
)

// postgres compares claim and finish through the store with pgbench, which inserts a row and updates it, each in a transaction of
// its own: on the same server, with the same settings, rows of the same size.
func (b *bench) postgres(ctx context.Context) ([]result, error) {
	const what = "PostgreSQL, claim and finish, 512 B, 64 at a time"
	dir, err := os.MkdirTemp("", "refrain-bench-postgres-") // the server's user cannot enter every folder
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	server, err := servers.StartPostgres(ctx, dir)
	if missing := (*servers.Missing)(nil); errors.As(err, &missing) {
		return []result{skip(what, "pgbench", missing.Error())}, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = server.Stop() }()
	url := server.URL("postgres")
	if err := pgstore.Migrate(ctx, url, ""); err != nil {
		return nil, err
	}
	s, err := pgstore.Open(ctx, url, pgstore.Config{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	p, err := newPgbench(ctx, server, dir)
	if err != nil {
		return nil, err
	}
	refrain := side{"Refrain", func() (float64, error) {
		return spread(b.plan.turn(), sqlConnections, func(int) error { return execute(ctx, s) })
	}}
	var results []result
	for _, mode := range []string{"simple", "prepared"} {
		peer := side{"pgbench -M " + mode, func() (float64, error) { return p.work(ctx, mode, b.plan) }}
		got, err := warmDuel(what, b.plan.rounds, refrain, peer)
		if err != nil {
			return nil, err
		}
		results = append(results, atLeast(1.5, what, "/s", got, peer.name))
	}
	results[1].target = "" // the target is beside pgbench as it is by itself
	return results, nil
}

// pgbench is what a service does that keeps its keys in a table of its own, in C.
type pgbench struct {
	path, script string
	server       *servers.Postgres
}

// pairScript inserts a row and updates it, with as many bytes as a claim and an outcome have.
const pairScript = `\set n random(1, 9000000000000000)
INSERT INTO plain (id, token, fence, fingerprint, created, lease)
VALUES (sha256(:n::text::bytea), substr(sha256(:n::text::bytea), 1, 16), 1, sha256(:n::text::bytea), now(), now());
UPDATE plain SET retain = now(), forget = now(), status = 201, meta = repeat('m', 112)::bytea, body = repeat('b', 400)::bytea
WHERE id = sha256(:n::text::bytea);
`

func newPgbench(ctx context.Context, server *servers.Postgres, dir string) (*pgbench, error) {
	path, err := servers.Find(ctx, "pgbench", "postgresql-client")
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("pgx", server.URL("postgres"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, `CREATE TABLE plain (id bytea PRIMARY KEY, token bytea NOT NULL, fence bigint NOT NULL,
		fingerprint bytea NOT NULL, created timestamptz NOT NULL, lease timestamptz, retain timestamptz, forget timestamptz,
		status integer, meta bytea, body bytea)`)
	if err != nil {
		return nil, err
	}
	script := filepath.Join(dir, "pair.sql")
	return &pgbench{path, script, server}, os.WriteFile(script, []byte(pairScript), 0o600)
}

var tps = regexp.MustCompile(`tps = ([0-9.]+)`)

// work runs for a turn and returns how many pairs it made a second. Its mode is how it sends statements: simple is its default,
// prepared has them parsed once for each connection.
func (p *pgbench) work(ctx context.Context, mode string, turn plan) (float64, error) {
	seconds := strconv.Itoa(int(math.Ceil(turn.seconds)))
	cmd := exec.CommandContext(ctx, p.path, "-n", "-M", mode, "-h", servers.Loopback, "-p", strconv.Itoa(p.server.Port),
		"-U", "postgres", "-c", strconv.Itoa(sqlConnections), "-j", "2", "-T", seconds, "-f", p.script, "postgres")
	out, err := cmd.CombinedOutput()
	found := tps.FindSubmatch(out)
	if err != nil || found == nil {
		return 0, fmt.Errorf("pgbench: %w\n%s", err, out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
