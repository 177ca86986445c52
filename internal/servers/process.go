package servers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// A Command is how a server is started.
type Command struct {
	Name string   // of the server in messages, and of its log in Dir
	Path string   // of the program, see Find
	Args []string //
	Dir  string   // where it runs
	User string   // whom it runs as, if this process is root's; "" is root
	Host *Host    // where it runs; nil is [Here]
	// Ends is the signal that asks it to end. If nil, os.Interrupt.
	Ends os.Signal
	// Ready reports, by nil, that the server takes requests. It is asked again and again.
	Ready func(ctx context.Context) error
}

// A Process is a server that was started here. It ends at the latest with this process (on Linux). Its methods may be used
// concurrently, but for Start.
type Process struct {
	Command

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// Start starts a server and waits until it is ready.
func Start(ctx context.Context, c Command) (*Process, error) {
	p := &Process{Command: c}
	return p, p.Start(ctx)
}

// Start starts a server that has ended once more.
func (p *Process) Start(ctx context.Context) error {
	if err := p.launch(); err != nil {
		return fmt.Errorf("starting %s: %w", p.Name, err)
	}
	if err := p.ready(ctx); err != nil {
		err = fmt.Errorf("waiting for %s: %w\n%s", p.Name, err, p.Log())
		return errors.Join(err, p.Kill())
	}
	return nil
}

func (p *Process) launch() error {
	out, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	user, path, args := p.Host.as(p.User, p.Path, p.Args)
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.Dir, out, out
	if cmd.SysProcAttr, err = attributes(user); err != nil {
		return err
	}
	started, done := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the system ends the child when the thread that made it ends
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(done)
		}
	}()
	p.cmd, p.done = cmd, done
	return <-started
}

// ready waits for at most a minute.
func (p *Process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := p.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("it has ended: %w", err)
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *Process) logFile() string { return filepath.Join(p.Dir, p.Name+".log") }

// Log returns the end of what the server has printed.
func (p *Process) Log() string {
	b, _ := os.ReadFile(p.logFile())
	return string(b[max(0, len(b)-4000):])
}

// Done is closed when the server has ended, until it is started again.
func (p *Process) Done() <-chan struct{} { return p.done }

// PID returns the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks the server to end, and kills it when it has not within half a minute. What it has left running is killed too.
func (p *Process) Stop() error {
	_ = p.Resume() // one that is paused does not hear
	_ = p.cmd.Process.Signal(cmp.Or(p.Ends, os.Interrupt))
	select {
	case <-p.done:
		_ = killGroup(p.cmd.Process) // what it has left behind
		return nil
	case <-time.After(30 * time.Second):
		return errors.Join(fmt.Errorf("%s did not end within 30 seconds", p.Name), p.Kill())
	}
}

// Kill ends the server and all of its processes at once, as kill -9 does, and waits until it is gone.
func (p *Process) Kill() error {
	if err := killGroup(p.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing %s: %w", p.Name, err)
	}
	<-p.done
	return nil
}
