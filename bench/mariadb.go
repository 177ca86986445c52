package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	_ "github.com/go-sql-driver/mysql" // the plain connections use the same driver

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/mysqlstore"
)

// sqlConnections is how many goroutines the SQL stores are used by, and how many connections their peers have.
const sqlConnections = 64

// mariadb compares claim and finish through the store with the same work by plain connections, which insert a row and update it,
// each in a transaction of its own: on the same server, with the same settings, rows of the same size.
func (b *bench) mariadb(ctx context.Context) ([]result, error) {
	const what = "MariaDB, claim and finish, 512 B, 64 at a time"
	dir, err := os.MkdirTemp("", "refrain-bench-mariadb-") // the server's user cannot enter every folder
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	server, err := servers.StartMariaDB(ctx, dir)
	if missing := (*servers.Missing)(nil); errors.As(err, &missing) {
		return []result{skip(what, "plain connections", missing.Error())}, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = server.Stop() }()
	if err := mysqlstore.Migrate(ctx, server.URL()); err != nil {
		return nil, err
	}
	s, err := mysqlstore.Open(ctx, server.URL(), mysqlstore.Config{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	p, err := newPlainRows(ctx, server)
	if err != nil {
		return nil, err
	}
	defer func() { _ = p.db.Close() }()
	parties := [2]side{
		{"Refrain", func() (float64, error) {
			return spread(b.plan.turn(), sqlConnections, func(int) error { return execute(ctx, s) })
		}},
		{"64 plain connections", func() (float64, error) {
			return spread(b.plan.turn(), sqlConnections, func(i int) error { return p.execute(ctx, i) })
		}},
	}
	got, err := warmDuel(what, b.plan.rounds, parties[0], parties[1])
	if err != nil {
		return nil, err
	}
	return []result{atLeast(1, what, "/s", got, parties[1].name)}, nil
}

// spread runs op again and again in n goroutines, each with its number, and returns how often a second.
func spread(d time.Duration, n int, op func(i int) error) (float64, error) {
	until := during(d)
	var all atomic.Int64
	errs := make([]error, n)
	var group sync.WaitGroup
	start := time.Now()
	for i := range n {
		group.Go(func() {
			for errs[i] == nil && until() {
				if errs[i] = op(i); errs[i] == nil {
					all.Add(1)
				}
			}
		})
	}
	group.Wait()
	return float64(all.Load()) / time.Since(start).Seconds(), errors.Join(errs...)
}

// plainRows is what a service does that keeps its keys in a table of its own.
type plainRows struct {
	db             *sql.DB
	insert, update []*sql.Stmt // of each connection
}

func newPlainRows(ctx context.Context, server *servers.MariaDB) (*plainRows, error) {
	db, err := sql.Open("mysql", fmt.Sprintf("refrain@tcp(%s)/refrain", servers.Address(server.Port)))
	if err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx, `CREATE TABLE plain (
	id BINARY(32) NOT NULL PRIMARY KEY, token BINARY(16) NOT NULL, fingerprint BINARY(32) NOT NULL, state TINYINT NOT NULL,
	fence BIGINT NOT NULL, created BIGINT NOT NULL, lease BIGINT NOT NULL, retain BIGINT, forget BIGINT, outcome LONGBLOB
) ENGINE = InnoDB`)
	p := &plainRows{db: db}
	for range sqlConnections {
		if err != nil {
			break
		}
		err = p.connect(ctx)
	}
	return p, err
}

func (p *plainRows) connect(ctx context.Context) error {
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return err
	}
	insert, err := conn.PrepareContext(ctx, //nolint:sqlclosecheck // it ends with the pool
		"INSERT INTO plain (id, token, fingerprint, state, fence, created, lease) VALUES (?, ?, ?, 1, 1, ?, ?)")
	if err != nil {
		return err
	}
	update, err := conn.PrepareContext(ctx, //nolint:sqlclosecheck // as above
		"UPDATE plain SET state = 3, retain = ?, forget = ?, outcome = ? WHERE id = ? AND token = ?")
	p.insert, p.update = append(p.insert, insert), append(p.update, update)
	return err
}

// execute inserts a row and updates it, on the connection of that number.
func (p *plainRows) execute(ctx context.Context, i int) error {
	c := newClaim()
	now := time.Now().UnixMicro()
	if _, err := p.insert[i].ExecContext(ctx, c.ID[:], c.Token[:], c.Fingerprint[:], now, now); err != nil {
		return err
	}
	outcome := make([]byte, 512)
	_, _ = rand.Read(outcome) // never fails since Go 1.24
	_, err := p.update[i].ExecContext(ctx, now, now, outcome, c.ID[:], c.Token[:])
	return err
}
