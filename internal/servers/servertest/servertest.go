// Package servertest starts real servers for tests.
package servertest

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/refrain-dev/refrain/internal/servers"
)

// Start starts a server for a test, in a folder of its own, and stops it when the test ends. Where its program is missing the
// test is skipped, with a line that says what to install; under CI it fails.
func Start[S interface{ Stop() error }](tb testing.TB, start func(ctx context.Context, dir string) (S, error)) S {
	tb.Helper()
	// Not tb.TempDir, whose name may be too long for a socket, and whose parents other users may not enter.
	dir, err := os.MkdirTemp("", "refrain-server-") //nolint:usetesting // see above
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	s, err := start(context.WithoutCancel(tb.Context()), dir)
	if missing := (*servers.Missing)(nil); errors.As(err, &missing) {
		if os.Getenv("CI") != "" {
			tb.Fatal(missing)
		}
		tb.Skip(missing)
	}
	if unable := (*servers.Unable)(nil); errors.As(err, &unable) {
		tb.Skip(unable)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return s
}
