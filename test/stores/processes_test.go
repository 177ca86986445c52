package stores

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
	"github.com/refrain-dev/refrain/mysqlstore"
	"github.com/refrain-dev/refrain/pgstore"
	"github.com/refrain-dev/refrain/redisstore"
	"github.com/refrain-dev/refrain/sqlitestore"
	"github.com/refrain-dev/refrain/storetest"
)

// A shared is a store that several processes use at a time.
type shared struct {
	start func(t *testing.T) (place string)
	open  func(ctx context.Context, place string) (refrain.Store, error)
}

var sharing = map[string]shared{
	"mysqlstore": {
		func(t *testing.T) string {
			server := startMariaDB(t)
			if err := mysqlstore.Migrate(t.Context(), server.URL()); err != nil {
				t.Fatal(err)
			}
			return server.URL()
		},
		func(ctx context.Context, place string) (refrain.Store, error) {
			return mysqlstore.Open(ctx, place, mysqlstore.Config{})
		},
	},
	"pgstore": {
		func(t *testing.T) string {
			url := servertest.Start(t, func(ctx context.Context, dir string) (*servers.Postgres, error) {
				return servers.StartPostgres(ctx, dir, "fsync=off")
			}).URL("postgres")
			if err := pgstore.Migrate(t.Context(), url, ""); err != nil {
				t.Fatal(err)
			}
			return url
		},
		func(ctx context.Context, place string) (refrain.Store, error) {
			return pgstore.Open(ctx, place, pgstore.Config{})
		},
	},
	"redisstore": {
		func(t *testing.T) string {
			return servertest.Start(t, func(ctx context.Context, dir string) (*servers.Redis, error) {
				return servers.StartRedis(ctx, dir)
			}).URL()
		},
		func(ctx context.Context, place string) (refrain.Store, error) {
			return redisstore.Open(ctx, place, redisstore.Config{})
		},
	},
	"sqlitestore": {
		func(t *testing.T) string { return filepath.Join(scratch(t), "refrain.db") },
		func(ctx context.Context, place string) (refrain.Store, error) {
			return sqlitestore.Open(ctx, place, sqlitestore.Config{})
		},
	},
}

// The environment of a test that is the other process: a store's name and place.
const nameVar, placeVar = "STORES_TEST_NAME", "STORES_TEST_PLACE"

// TestProcessesAreLinearizable checks histories of calls from two processes on one store, of which one is killed in the middle.
func TestProcessesAreLinearizable(t *testing.T) { //nolint:tparallel // as the other process it has nothing beside it //nolint:tparallel // as the other process it has nothing beside it
	if name := os.Getenv(nameVar); name != "" {
		serve(t, sharing[name], os.Getenv(placeVar))
		return
	}
	t.Parallel()
	for name, kind := range sharing {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := kind.start(t)
			own, err := kind.open(t.Context(), place)
			if err != nil {
				t.Fatal(err)
			}
			defer own.Close()
			other := &neighbour{t: t, name: name, place: place}
			other.begin()
			defer other.end()
			var total, lost int
			for round := range 4 {
				w := storetest.Workload{Calls: 5000, Operations: 3 + round, Clients: 8, Leave: 0.01}
				s := &either{own: yielding{own}, other: other, until: int64(w.Calls / 2)}
				ops := storetest.Record(t, s, w)
				s.killed.Wait()
				check(t, ops)
				total += len(ops)
				for i := range ops {
					if ops[i].Ambiguous() {
						lost++
					}
				}
			}
			t.Logf("%d calls from two processes checked, the answers of %d were lost, in %d kills among others", total, lost, other.kills)
		})
	}
}

// either is a store whose calls go out from one of two processes. One call finds that the other process is being killed.
type either struct {
	own    refrain.Store
	other  *neighbour
	calls  atomic.Int64
	until  int64 // that call
	killed sync.WaitGroup
}

func (e *either) one() refrain.Store {
	if e.calls.Add(1) == e.until {
		e.killed.Go(e.other.kill)
	}
	if rand.IntN(2) == 0 {
		return e.own
	}
	return e.other
}

func (e *either) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	return e.one().Claim(ctx, c)
}

func (e *either) Settle(ctx context.Context, s refrain.Settlement) (refrain.Record, error) {
	return e.one().Settle(ctx, s)
}

func (e *either) Renew(ctx context.Context, r refrain.Renewal) error { return e.one().Renew(ctx, r) }

func (e *either) Get(ctx context.Context, id refrain.ID) (refrain.Record, error) {
	return e.one().Get(ctx, id)
}

func (e *either) Close() error { return nil }

// A neighbour is a store that another process has open.
type neighbour struct {
	t           *testing.T
	name, place string

	mu     sync.Mutex
	cmd    *exec.Cmd
	client *rpc.Client
	kills  int
}

// pipes are the process's standard input and output.
type pipes struct {
	io.Reader
	io.WriteCloser
}

func (n *neighbour) begin() {
	n.cmd = exec.Command(os.Args[0], "-test.run=^TestProcessesAreLinearizable$")
	n.cmd.Env = append(os.Environ(), nameVar+"="+n.name, placeVar+"="+n.place)
	n.cmd.Stderr = os.Stderr
	in, err := n.cmd.StdinPipe()
	if err == nil {
		var out io.ReadCloser
		if out, err = n.cmd.StdoutPipe(); err == nil {
			n.client = rpc.NewClient(pipes{out, in})
			err = n.cmd.Start()
		}
	}
	if err != nil {
		n.t.Errorf("starting the other process: %v", err)
	}
}

// kill kills the process and starts it again. Calls that begin meanwhile wait.
func (n *neighbour) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.end()
	n.kills++
	n.begin()
}

func (n *neighbour) end() {
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
	_ = n.client.Close()
}

func (n *neighbour) call(ctx context.Context, method string, request any) (*Answer, error) {
	n.mu.Lock()
	client := n.client
	n.mu.Unlock()
	answer := &Answer{}
	c := client.Go("Server."+method, request, answer, make(chan *rpc.Call, 1))
	select {
	case <-c.Done:
	case <-ctx.Done():
		return &Answer{}, fmt.Errorf("%w: %w", refrain.ErrUnavailable, ctx.Err())
	}
	switch {
	case c.Error != nil:
		return answer, fmt.Errorf("%w: %w", refrain.ErrUnavailable, c.Error)
	case answer.Stale:
		return answer, refrain.ErrStale
	case answer.Failure != "":
		return answer, fmt.Errorf("%w: %s", refrain.ErrUnavailable, answer.Failure)
	}
	return answer, nil
}

func (n *neighbour) Claim(ctx context.Context, c refrain.Claim) (refrain.Decision, error) {
	a, err := n.call(ctx, "Claim", c)
	return a.Decision, err
}

func (n *neighbour) Settle(ctx context.Context, s refrain.Settlement) (refrain.Record, error) {
	a, err := n.call(ctx, "Settle", s)
	return a.Record, err
}

func (n *neighbour) Renew(ctx context.Context, r refrain.Renewal) error {
	_, err := n.call(ctx, "Renew", r)
	return err
}

func (n *neighbour) Get(ctx context.Context, id refrain.ID) (refrain.Record, error) {
	a, err := n.call(ctx, "Get", id)
	return a.Record, err
}

func (n *neighbour) Close() error { return nil }

// serve is the other process.
func serve(t *testing.T, kind shared, place string) {
	s, err := kind.open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer()
	if err := server.Register(&Server{s}); err != nil {
		t.Fatal(err)
	}
	server.ServeConn(pipes{os.Stdin, os.Stdout})
}

// An Answer is that of a call.
type Answer struct {
	Decision refrain.Decision
	Record   refrain.Record
	Stale    bool
	Failure  string
}

func (a *Answer) fails(err error) error {
	if a.Stale = errors.Is(err, refrain.ErrStale); err != nil {
		a.Failure = err.Error()
	}
	return nil
}

// A Server makes the calls of the first process.
type Server struct{ store refrain.Store }

// Claim is a call.
func (s *Server) Claim(c refrain.Claim, a *Answer) (err error) {
	a.Decision, err = s.store.Claim(context.Background(), c)
	return a.fails(err)
}

// Settle is a call.
func (s *Server) Settle(e refrain.Settlement, a *Answer) (err error) {
	a.Record, err = s.store.Settle(context.Background(), e)
	return a.fails(err)
}

// Renew is a call.
func (s *Server) Renew(r refrain.Renewal, a *Answer) error {
	return a.fails(s.store.Renew(context.Background(), r))
}

// Get is a call.
func (s *Server) Get(id refrain.ID, a *Answer) (err error) {
	a.Record, err = s.store.Get(context.Background(), id)
	return a.fails(err)
}
