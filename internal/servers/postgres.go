package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// postgresUser is whom PostgreSQL and PgBouncer run as when this process is root's: they refuse to run as root.
const postgresUser = "postgres"

// A Postgres is a PostgreSQL server, or a standby of one. Its superuser postgres needs no password.
type Postgres struct {
	*Process

	On   *Host
	Port int
	Data string // its data directory
}

// StartPostgres makes a new database cluster in dir and starts a server on it. Settings are name=value, as in its configuration
// file.
func StartPostgres(ctx context.Context, dir string, settings ...string) (*Postgres, error) {
	return Here().StartPostgres(ctx, dir, settings...)
}

// StartPostgres is [StartPostgres] on another host.
func (h *Host) StartPostgres(ctx context.Context, dir string, settings ...string) (*Postgres, error) {
	data := filepath.Join(dir, "postgres")
	if err := Own(dir, postgresUser); err != nil {
		return nil, err
	}
	err := runPostgres(ctx, "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(neighbours), 0o600); err != nil {
		return nil, err
	}
	return h.startPostgres(ctx, dir, "postgres", settings)
}

// neighbours are whom a server trusts: those in its own network, which is the loopback interface or a [LAN].
const neighbours = `
local all,replication all trust
host  all,replication all samenet trust
`

// StartStandby makes a copy of the server in dir and starts it as a streaming standby of that name.
func (p *Postgres) StartStandby(ctx context.Context, dir, name string, settings ...string) (*Postgres, error) {
	return p.On.StartStandby(ctx, dir, name, p, settings...)
}

// StartStandby is [Postgres.StartStandby] on another host than the primary's.
func (h *Host) StartStandby(ctx context.Context, dir, name string, primary *Postgres, settings ...string) (*Postgres, error) {
	if err := Own(dir, postgresUser); err != nil {
		return nil, err
	}
	from := fmt.Sprintf("host=%s port=%d user=postgres application_name=%s", primary.On.Address, primary.Port, name)
	err := runPostgres(ctx, "pg_basebackup", "-D", filepath.Join(dir, name), "-d", from, "-R", "-X", "stream", "-c", "fast")
	if err != nil {
		return nil, err
	}
	return h.startPostgres(ctx, dir, name, settings)
}

func (h *Host) startPostgres(ctx context.Context, dir, name string, settings []string) (*Postgres, error) {
	path, err := Find(ctx, "postgres", "postgresql")
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, name)
	args := []string{"-D", data, "-c", "port=" + strconv.Itoa(port), "-c", "listen_addresses=" + h.Address, "-k", dir}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	ready, err := Find(ctx, "pg_isready", "postgresql-client")
	if err != nil {
		return nil, err
	}
	p, err := Start(ctx, Command{
		Name: name, Path: path, Args: args, Dir: dir, User: postgresUser, Host: h,
		Ends: os.Interrupt, // without waiting for clients
		Ready: func(ctx context.Context) error {
			return exec.CommandContext(ctx, ready, "-q", "-h", h.Address, "-p", strconv.Itoa(port)).Run()
		},
	})
	if err != nil {
		return nil, err
	}
	return &Postgres{Process: p, On: h, Port: port, Data: data}, nil
}

// URL returns that of a database of the server.
func (p *Postgres) URL(database string) string { return postgresURL(p.On.At(p.Port), database) }

func postgresURL(address, database string) string {
	return fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable", address, database)
}

// Promote makes a standby the primary, and waits until it is.
func (p *Postgres) Promote(ctx context.Context) error {
	return runPostgres(ctx, "pg_ctl", "promote", "-w", "-D", p.Data)
}

// Kill ends the server at once. Its processes are no group of their own, and are looked for when no more can be made: a new
// server cannot start before they have all gone.
func (p *Postgres) Kill() error {
	err := p.Process.Kill()
	for _, pid := range inFolder(p.Data) {
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
