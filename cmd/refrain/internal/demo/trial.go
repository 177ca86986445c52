package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/refrain-dev/refrain/internal/servers"
)

// A server is one that keeps a store, started for the demo.
type server struct {
	url  string
	stop func() error
}

// trials are what starts servers, by the scheme of their stores.
func trials() map[string]func(ctx context.Context, dir string) (server, error) {
	return map[string]func(ctx context.Context, dir string) (server, error){
		"mysql": func(ctx context.Context, dir string) (server, error) {
			s, err := servers.StartMariaDB(ctx, dir)
			if err != nil {
				return server{}, err
			}
			return server{s.URL(), s.Stop}, nil
		},
		"postgres": func(ctx context.Context, dir string) (server, error) {
			s, err := servers.StartPostgres(ctx, dir)
			if err != nil {
				return server{}, err
			}
			return server{s.URL("postgres"), s.Stop}, nil
		},
		"redis": func(ctx context.Context, dir string) (server, error) {
			s, err := servers.StartRedis(ctx, dir)
			if err != nil {
				return server{}, err
			}
			return server{s.URL(), s.Stop}, nil
		},
	}
}

// CheckStore returns what is wrong with a Config's Store, or nil.
func CheckStore(store string) error {
	scheme, rest, _ := strings.Cut(store, ":")
	if trials()[scheme] == nil && rest == "" && store != "" {
		return fmt.Errorf("there is no server to start for %q; write redis:, postgres:, mysql:, or a store's URL", store)
	}
	return nil
}

// store returns the URL of the store that the proxy uses, empty for the embedded one. A scheme alone, such as "redis:", starts
// a server of that kind.
func (d *demo) store(ctx context.Context) (url string, stop func() error, err error) {
	scheme, rest, _ := strings.Cut(d.cfg.Store, ":")
	start := trials()[scheme]
	if rest != "" || start == nil {
		return d.cfg.Store, func() error { return nil }, nil
	}
	// A folder of its own, for the server may run as somebody who cannot enter the demo's.
	dir, err := os.MkdirTemp("", "refrain-demo-store-")
	if err != nil {
		return "", nil, fmt.Errorf("making a directory for the server: %w", err)
	}
	d.progress.say("Starting a server for %s", d.cfg.Store)
	s, err := start(ctx, dir)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	stop = func() error { return errors.Join(s.stop(), os.RemoveAll(dir)) }
	if err := d.migrate(ctx, s.url); err != nil {
		return "", nil, errors.Join(err, stop())
	}
	return s.url, stop, nil
}

// migrate makes the schema of a store in a SQL database.
func (d *demo) migrate(ctx context.Context, url string) error {
	if strings.HasPrefix(url, "redis") {
		return nil
	}
	out, err := exec.CommandContext(ctx, d.cfg.Executable, "migrate", "--store", url).CombinedOutput()
	if err != nil {
		return fmt.Errorf("making the schema: %w\n%s", err, out)
	}
	return nil
}
