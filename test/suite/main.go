// Command suite runs the tests of every module of the workspace, shows how far it is, and ends with what failed and what
// was skipped, and why. Its arguments are those of go test.
//
//	go run ./test/suite -race
//	go run ./test/suite -race -run Crash -v
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ok, err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (ok bool, err error) {
	patterns, err := workspace(ctx)
	if err != nil {
		return false, err
	}
	// A package's own limit is for tests that hang, not for slow machines.
	args = append(append([]string{"test", "-json", "-timeout=30m"}, args...), patterns...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	events, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("running go test: %w", err)
	}
	r := newReport(out)
	r.follow(lines(events))
	err = cmd.Wait()
	r.summary()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return false, err
	}
	return err == nil && r.failed == 0, nil
}

// workspace returns a package pattern for each module of go.work.
func workspace(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}/...").Output()
	if err != nil {
		return nil, fmt.Errorf("listing the modules of the workspace: %w", err)
	}
	return strings.Fields(string(out)), nil
}

// lines reads r to its end in a goroutine of its own, so that progress shows while nothing comes.
func lines(r io.Reader) <-chan []byte {
	c := make(chan []byte)
	go func() {
		defer close(c)
		br := bufio.NewReader(r)
		for {
			line, err := br.ReadBytes('\n')
			if len(line) > 0 {
				c <- line
			}
			if err != nil {
				return
			}
		}
	}()
	return c
}

// heartbeat is how often a quiet run says what it is busy with.
const heartbeat = 20 * time.Second

// follow prints the run's events as they come.
func (r *report) follow(events <-chan []byte) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case line, ok := <-events:
			if !ok {
				return
			}
			r.line(line)
		case <-tick.C:
			r.busy(time.Now())
		}
	}
}
