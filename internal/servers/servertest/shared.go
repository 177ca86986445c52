package servertest

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/refrain-dev/refrain/internal/servers"
)

// A Shared is a server that all tests of a package share. It is started when the first of them asks for it.
type Shared[S interface{ Stop() error }] struct {
	start func(ctx context.Context, dir string) (S, error)

	once   sync.Once
	dir    string
	server S
	err    error
}

// NewShared returns a server that is not started yet.
func NewShared[S interface{ Stop() error }](start func(ctx context.Context, dir string) (S, error)) *Shared[S] {
	return &Shared[S]{start: start}
}

// Get returns the server. Where its program is missing the test is skipped, with a line that says what to install.
func (s *Shared[S]) Get(tb testing.TB) S {
	tb.Helper()
	s.once.Do(func() {
		if s.dir, s.err = os.MkdirTemp("", "refrain-server-"); s.err == nil { //nolint:usetesting // see Start
			s.server, s.err = s.start(context.Background(), s.dir)
		}
	})
	if missing := (*servers.Missing)(nil); errors.As(s.err, &missing) {
		tb.Skip(missing)
	}
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s.server
}

// Run runs the tests of a package and stops the server, for TestMain.
func (s *Shared[S]) Run(m *testing.M) (code int) {
	code = m.Run()
	s.once.Do(func() { s.err = errors.ErrUnsupported }) // nobody asked for it
	if s.err == nil && s.server.Stop() != nil {
		code = 1
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
	return code
}
