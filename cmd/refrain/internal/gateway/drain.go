package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

var errHurried = errors.New("told to stop at once")

// drain stops taking requests and finishes those that run, for as long as the longest of them may take.
func (g *Gateway) drain(stop <-chan os.Signal) error {
	g.draining.Store(true)
	bound := g.longest + drainGrace
	g.log.Info("draining: finishing what runs", "running", g.Running(), "at_most", bound)
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	ctx, hurry := context.WithCancelCause(ctx)
	defer hurry(nil)
	go func() {
		select {
		case <-stop:
			hurry(errHurried)
		case <-ctx.Done():
		}
	}()
	err := g.close(ctx)
	if err == nil {
		g.log.Info("drained: everything that ran is recorded")
	}
	return err
}

// close ends everything, from the clients to the store, waiting until ctx ends for what runs.
func (g *Gateway) close(ctx context.Context) error {
	var errs []error
	if err := g.server.Shutdown(ctx); err != nil {
		errs = append(errs, fmt.Errorf("closing connections: %w", context.Cause(ctx)), g.server.Close())
	}
	// Executions whose clients have left are not the server's, but the guard's.
	s := g.site.Load()
	errs = append(errs, s.guard.Close(ctx))
	s.proxy.Close()
	s.callers.Retire(nil)
	errs = append(errs, within(ctx, s.storage.Close), g.admin.Close())
	return errors.Join(errs...)
}

// closeGrace is what closing the store may take when ctx has ended.
const closeGrace = 2 * time.Second

// within closes the store. One whose disk hangs may never be closed, and the process ends without: to the store that is a crash,
// which takes away nothing that was acknowledged.
func within(ctx context.Context, closeStore func() error) error {
	closed := make(chan error, 1)
	go func() { closed <- closeStore() }()
	select {
	case err := <-closed:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-closed:
		return err
	case <-time.After(closeGrace):
		return fmt.Errorf("closing the store: it did not end in time (%w); it is left as after a crash", context.Cause(ctx))
	}
}
