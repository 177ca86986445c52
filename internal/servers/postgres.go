package servers

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
)

// postgresUser is whom PostgreSQL and PgBouncer run as when this process is root's: they refuse to run as root.
const postgresUser = "postgres"

// A Postgres is a PostgreSQL server, or a standby of one. Its superuser postgres needs no password.
type Postgres struct {
	*Process
	Port int
	Data string // its data directory
}

// StartPostgres makes a new database cluster in dir and starts a server on it. Settings are name=value, as in its configuration
// file.
func StartPostgres(ctx context.Context, dir string, settings ...string) (*Postgres, error) {
	data := filepath.Join(dir, "postgres")
	if err := Own(dir, postgresUser); err != nil {
		return nil, err
	}
	err := runPostgres(ctx, "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if err != nil {
		return nil, err
	}
	return startPostgres(ctx, dir, "postgres", settings)
}

// StartStandby makes a copy of the server in dir and starts it as a streaming standby of that name.
func (p *Postgres) StartStandby(ctx context.Context, dir, name string, settings ...string) (*Postgres, error) {
	if err := Own(dir, postgresUser); err != nil {
		return nil, err
	}
	from := fmt.Sprintf("host=%s port=%d user=postgres application_name=%s", Loopback, p.Port, name)
	err := runPostgres(ctx, "pg_basebackup", "-D", filepath.Join(dir, name), "-d", from, "-R", "-X", "stream", "-c", "fast")
	if err != nil {
		return nil, err
	}
	return startPostgres(ctx, dir, name, settings)
}

func startPostgres(ctx context.Context, dir, name string, settings []string) (*Postgres, error) {
	path, err := Find(ctx, "postgres", "postgresql")
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, name)
	args := []string{"-D", data, "-c", "port=" + strconv.Itoa(port), "-c", "listen_addresses=" + Loopback, "-k", dir}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	ready, err := Find(ctx, "pg_isready", "postgresql-client")
	if err != nil {
		return nil, err
	}
	p, err := Start(ctx, Command{
		Name: name, Path: path, Args: args, Dir: dir, User: postgresUser, // SIGINT, the usual one, ends it without waiting for clients
		Ready: func(ctx context.Context) error {
			return exec.CommandContext(ctx, ready, "-q", "-h", Loopback, "-p", strconv.Itoa(port)).Run()
		},
	})
	if err != nil {
		return nil, err
	}
	return &Postgres{Process: p, Port: port, Data: data}, nil
}

// URL returns that of a database of the server.
func (p *Postgres) URL(database string) string { return postgresURL(p.Port, database) }

func postgresURL(port int, database string) string {
	return fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable", Address(port), database)
}

// Promote makes a standby the primary, and waits until it is.
func (p *Postgres) Promote(ctx context.Context) error {
	return runPostgres(ctx, "pg_ctl", "promote", "-w", "-D", p.Data)
}

// Kill ends the server at once. Its processes are no group of their own: a new server cannot start before they have all gone.
func (p *Postgres) Kill() error {
	children := childrenOf(p.PID())
	err := p.Process.Kill()
	for _, pid := range children {
		err = errors.Join(err, killAndAwait(pid))
	}
	return err
}

// runPostgres runs a program of PostgreSQL's to its end.
func runPostgres(ctx context.Context, command string, args ...string) error {
	path, err := Find(ctx, command, "postgresql")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = "/" // the user may not enter ours
	if cmd.SysProcAttr, err = attributes(postgresUser); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s: %w\n%s", command, err, out)
	}
	return nil
}
