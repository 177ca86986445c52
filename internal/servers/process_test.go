//go:build unix

package servers_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// sleeper is a server that is ready when it has made a file, and has a child.
func sleeper(ctx context.Context, dir string) (*servers.Process, error) {
	ready := filepath.Join(dir, "ready")
	return servers.Start(ctx, servers.Command{
		Name: "sleeper", Path: "/bin/sh", Dir: dir, Ends: syscall.SIGTERM,
		Args: []string{"-c", "sleep 1000 & echo $! >pid; echo started; touch ready; wait"},
		Ready: func(context.Context) error {
			_, err := os.Stat(ready)
			return err
		},
	})
}

func TestKillEndsTheWholeServer(t *testing.T) {
	t.Parallel()
	p := servertest.Start(t, sleeper)
	if log := p.Log(); !strings.Contains(log, "started") {
		t.Errorf("got the log %q", log)
	}
	for name, end := range map[string]func() error{"Kill": p.Kill, "Stop": p.Stop} {
		b, err := os.ReadFile(filepath.Join(p.Dir, "pid"))
		if err != nil {
			t.Fatal(err)
		}
		child := strings.TrimSpace(string(b))
		if err := end(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for range time.Tick(time.Millisecond) { // it is dead, but whoever inherits it has yet to see that
			if exec.Command("kill", "-0", child).Run() != nil || zombie(child) {
				break
			}
		}
		if err := os.Remove(filepath.Join(p.Dir, "ready")); err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatalf("starting it once more: %v", err)
		}
	}
}

func childOf(t *testing.T, p *servers.Process) (pid string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.Dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// awaitEnd waits until a process is dead; whoever inherits it may have yet to see that.
func awaitEnd(t *testing.T, pid string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 5000 {
		if exec.Command("kill", "-0", pid).Run() != nil || zombie(pid) {
			return
		}
		<-tick.C
	}
	t.Errorf("process %s lives on", pid)
}

func zombie(pid string) bool {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && strings.Contains(string(b), ") Z ")
}

func TestAPausedServerIsStopped(t *testing.T) {
	t.Parallel()
	p := servertest.Start(t, sleeper)
	child := childOf(t, p)
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	<-p.Done()
	awaitEnd(t, child)
}

func TestAServerThatEndsAtOnceSaysWhy(t *testing.T) {
	t.Parallel()
	_, err := servers.Start(t.Context(), servers.Command{
		Name: "broken", Path: "/bin/sh", Dir: t.TempDir(), Args: []string{"-c", "echo no such setting; exit 3"},
		Ready: func(context.Context) error { return errors.New("not yet") },
	})
	if err == nil || !strings.Contains(err.Error(), "no such setting") || !strings.Contains(err.Error(), "broken") {
		t.Errorf("got %v, want the server's name and what it printed", err)
	}
}

func TestFreePortIsFree(t *testing.T) {
	t.Parallel()
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", servers.Address(port))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestAMissingProgramNamesItsPackage(t *testing.T) {
	t.Parallel()
	path, err := servers.Find(t.Context(), "sh", "dash")
	if err != nil || filepath.Base(path) != "sh" {
		t.Errorf("got %q, %v", path, err)
	}
	err = &servers.Missing{Command: "redis-server", Package: "redis-server"}
	if got := err.Error(); got != "redis-server is not there: apt-get install redis-server" {
		t.Errorf("got %q", got)
	}
}
