package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// A sqlServer is a server whose database refrain can migrate.
type sqlServer struct {
	stop func() error
	url  string
}

func (s sqlServer) Stop() error { return s.stop() }

func postgres(ctx context.Context, dir string) (sqlServer, error) {
	s, err := servers.StartPostgres(ctx, dir)
	if err != nil {
		return sqlServer{}, err
	}
	return sqlServer{s.Stop, s.URL("postgres")}, nil
}

func mariadb(ctx context.Context, dir string) (sqlServer, error) {
	s, err := servers.StartMariaDB(ctx, dir)
	if err != nil {
		return sqlServer{}, err
	}
	return sqlServer{s.Stop, s.URL()}, nil
}

func TestMigrateMakesWhatTheStoreNeeds(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(ctx context.Context, dir string) (sqlServer, error){
		"postgres": postgres,
		"mysql":    mariadb,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := servertest.Start(t, start).url
			if got := command("check", "--store", url); got.status != statusFault || !strings.Contains(got.stdout, "refrain migrate") {
				t.Errorf("check before: got %+v, want the advice to migrate", got)
			}
			for _, args := range [][]string{nil, nil, {"--to", "0"}, nil} { // twice is once; back, and up again
				got := command(append([]string{"migrate", "--store", url}, args...)...)
				if got.status != 0 || !strings.Contains(got.stdout, "has the schema of version") {
					t.Errorf("migrate %v: got %+v", args, got)
				}
			}
			got := command("check", "--store", url)
			if got.status != 0 || !strings.Contains(got.stdout, "tier") {
				t.Errorf("check after: got %+v, want no fault, and the tier", got)
			}
			fmt.Fprint(t.Output(), got.stdout)
		})
	}
}

func TestMigrateRefusesNonsense(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"migrate":                                "a store of scheme pebble has no schema",
		"migrate --store redis://h":              "a store of scheme redis has no schema",
		"migrate --store postgres://h/d --to 99": "flag --to: versions go from 0 to",
	} {
		got := command(strings.Fields(args)...)
		if got.status != statusMisuse || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: got %+v, want %q", args, got, want)
		}
	}
}
