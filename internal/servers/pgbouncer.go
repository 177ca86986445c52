package servers

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// A PgBouncer is a PgBouncer that pools connections to a PostgreSQL server by transaction.
type PgBouncer struct {
	*Process
	Port int
}

// StartPgBouncer starts one in dir, in front of the server, with at most size connections to it.
func StartPgBouncer(ctx context.Context, dir string, server *Postgres, size int) (*PgBouncer, error) {
	path, err := Find(ctx, "pgbouncer", "pgbouncer")
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`[databases]
* = host=%[1]s port=%[2]d user=postgres
[pgbouncer]
listen_addr = %[1]s
listen_port = %[3]d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = %[4]d
max_client_conn = 1000
`, Loopback, server.Port, port, size)
	name := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(name, []byte(config), 0o644); err != nil {
		return nil, err
	}
	if err := Own(dir, postgresUser); err != nil {
		return nil, err
	}
	p, err := Start(ctx, Command{
		Name: "pgbouncer", Path: path, Args: []string{name}, Dir: dir, User: postgresUser, Ends: syscall.SIGTERM,
		Ready: func(ctx context.Context) error {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", Address(port))
			if err == nil {
				err = conn.Close()
			}
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	return &PgBouncer{Process: p, Port: port}, nil
}

// URL returns that of a database behind it.
func (p *PgBouncer) URL(database string) string { return postgresURL(Address(p.Port), database) }
