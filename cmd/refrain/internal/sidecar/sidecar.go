// Package sidecar runs `refrain proxy` as a child process that can be killed and started again, for the demo and the
// crash tests.
package sidecar

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/refrain-dev/refrain/internal/servers"
)

// Config says what to run.
type Config struct {
	// Executable is the refrain binary.
	Executable string
	// Upstream is the URL of the API behind the proxy.
	Upstream string
	// Dir is where the embedded store, the journal and the configuration file live.
	Dir string
	// Store is the URL of a store that others use too. If empty, it is the embedded one.
	Store string
	// File is the text of the configuration file.
	File string
	// Host is where it runs and listens. If nil, it is this machine.
	Host *servers.Host
}

// A Proxy is a refrain proxy in a child process. One goroutine at a time may use it.
type Proxy struct {
	cfg    Config
	listen string
	admin  string
	log    *log
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process is gone
}

// startTimeout bounds how long a proxy may take until it is ready.
const startTimeout = 20 * time.Second

// Start runs a proxy on free ports of its host, and returns when it is ready. ctx bounds the wait; the
// process lives until it is killed.
func Start(ctx context.Context, cfg Config) (*Proxy, error) {
	cfg.Host = cmp.Or(cfg.Host, servers.Here())
	p := &Proxy{cfg: cfg, listen: cfg.Host.At(0), admin: cfg.Host.At(0)}
	if err := os.WriteFile(p.configFile(), []byte(cfg.File), 0o600); err != nil {
		return nil, fmt.Errorf("writing the proxy's configuration: %w", err)
	}
	if err := p.Restart(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Proxy) configFile() string { return filepath.Join(p.cfg.Dir, "refrain.yaml") }

// Args returns the arguments that the proxy runs with.
func (p *Proxy) Args() []string {
	return []string{
		"proxy", "--upstream", p.cfg.Upstream, "--listen", p.listen, "--admin", p.admin,
		"--store", cmp.Or(p.cfg.Store, "pebble:"+filepath.Join(p.cfg.Dir, "data")), "--config", p.configFile(),
	}
}

// Restart runs the proxy again, on the same store and the same addresses, and returns when it is ready. The process
// must be gone. ctx bounds the wait; after an error there is no process.
func (p *Proxy) Restart(ctx context.Context) error {
	if err := p.Launch(); err != nil {
		return err
	}
	if err := p.awaitReady(ctx); err != nil {
		_ = p.Kill()
		return fmt.Errorf("starting the proxy: %w\n%s", err, p.log.tail())
	}
	return nil
}

// Launch is a Restart that does not wait until the proxy is ready.
func (p *Proxy) Launch() error {
	log := newLog()
	program, args := p.cfg.Host.Command(p.cfg.Executable, p.Args()...)
	cmd := exec.Command(program, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "REFRAIN_") })
	cmd.Stderr, cmd.Stdout, cmd.Dir = log, log, p.cfg.Dir
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.cfg.Executable, err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed sooner or later, so its status says nothing
		close(exited)
	}()
	p.cmd, p.log, p.exited = cmd, log, exited
	return nil
}

func (p *Proxy) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %s", startTimeout))
	defer cancel()
	select {
	case <-p.log.listening:
		p.listen, p.admin = p.log.addresses()
	case <-p.exited:
		return errors.New("it ended at once")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for !p.Ready(ctx) {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-p.exited:
			return errors.New("it ended before it was ready")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Ready reports whether the proxy says that it can do its work.
func (p *Proxy) Ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.AdminURL()+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// URL returns where clients reach the proxy.
func (p *Proxy) URL() string { return "http://" + p.listen }

// AdminURL returns where operators reach the proxy.
func (p *Proxy) AdminURL() string { return "http://" + p.admin }

// PID returns the process's ID.
func (p *Proxy) PID() int { return p.cmd.Process.Pid }

// Log returns the end of what the process has logged since it was last started.
func (p *Proxy) Log() string { return p.log.tail() }

// Signal sends the process a signal.
func (p *Proxy) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Kill ends the process as kill -9 does, and returns when it is gone.
func (p *Proxy) Kill() error {
	err := p.cmd.Process.Kill()
	<-p.exited
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Exited is closed when the process is gone.
func (p *Proxy) Exited() <-chan struct{} { return p.exited }
